import { describe, expect, test } from 'bun:test'
import {
  type GlaFeatureMap,
  type GsaFeatureMap,
  prepareGla,
  prepareGsa,
} from '../../src/gpu/ops/prepare.ts'
import { openTestGpu, segmentsOf, variants } from '../helpers/gpu.ts'
import { Random, rmsError } from '../helpers/numbers.ts'
import { silu } from '../oracle/math.ts'
import { featureMap, glaGates, gsaGates } from '../oracle/prepare.ts'

const gpu = await openTestGpu()

/** Column range of x [rows, stride]. */
function columns(x: Float32Array, stride: number, first: number, count: number): Float32Array {
  const rows = x.length / stride
  return Float32Array.from({ length: rows * count }, (_, at) => {
    return x[Math.floor(at / count) * stride + first + (at % count)]
  })
}

/** Random p, qkv as a convolution would give it, and NaN outputs, for one shape. */
async function setup(shape: Shape, gates: number, gateInputs: number, convolved: boolean) {
  const { tokens, heads, kvHeads, keyDim, valueDim } = shape
  const random = new Random(tokens * keyDim)
  const [qSize, kSize, vSize] = [heads * keyDim, kvHeads * keyDim, kvHeads * valueDim]
  const channels = qSize + kSize + vSize
  const stride = channels + gateInputs + 3
  const p = random.normals(tokens * stride, 2)
  const qkv = convolved ? random.normals(tokens * channels, 2) : undefined
  const step = await gpu.step(segmentsOf([tokens]))
  const [source, width] = qkv ? [qkv, channels] : [p, stride]
  return {
    random,
    step,
    inputs: {
      q: columns(source, width, 0, qSize),
      k: columns(source, width, qSize, kSize),
      v: columns(source, width, qSize + kSize, vSize),
      gate: columns(p, stride, channels, gateInputs),
    },
    options: {
      step: step.tables,
      p: await gpu.input(p),
      stride,
      qkv: qkv && (await gpu.input(qkv)),
      q: await gpu.output(tokens * qSize),
      k: await gpu.output(tokens * kSize),
      v: await gpu.output(tokens * vSize),
      gate: await gpu.output(tokens * gates),
      heads,
      kvHeads,
      keyDim,
      valueDim,
    },
  }
}

interface Shape {
  name: string
  tokens: number
  heads: number
  kvHeads: number
  keyDim: number
  valueDim: number
}

const square: Shape = {
  name: 'heads of 64',
  tokens: 9,
  heads: 4,
  kvHeads: 2,
  keyDim: 64,
  valueDim: 64,
}
const odd: Shape = { name: 'odd heads', tokens: 5, heads: 6, kvHeads: 3, keyDim: 7, valueDim: 11 }

const single: Shape = { ...square, name: 'one token, one head', tokens: 1, heads: 1, kvHeads: 1 }

describe.each(variants)('prepare GLA, %s', (variant) => {
  test.each<{ map: GlaFeatureMap; shape: Shape; convolved: boolean; rank: number; clamp?: number }>(
    [
      { map: 'identity', shape: square, convolved: false, rank: 16 },
      { map: 'identity', shape: odd, convolved: true, rank: 3, clamp: -0.05 },
      { map: 'relu', shape: square, convolved: true, rank: 16, clamp: -0.02 },
      {
        map: 'relu',
        shape: single,
        convolved: false,
        rank: 1,
      },
      { map: 'swish', shape: odd, convolved: false, rank: 16 },
      { map: 'sigmoid', shape: odd, convolved: true, rank: 5 },
      { map: 'sqrelu', shape: odd, convolved: false, rank: 4 },
      { map: 'gelu', shape: odd, convolved: false, rank: 4 },
      { map: 'logsigmoid', shape: odd, convolved: false, rank: 4 },
    ],
  )('$map, convolved $convolved, $shape.name', async (row) => {
    const { map, shape, rank, clamp } = row
    const channels = shape.kvHeads * shape.keyDim
    const { random, step, inputs, options } = await setup(shape, channels, rank, row.convolved)
    const gateUp = random.normals(channels * rank)
    const gateBias = random.normals(channels)
    await gpu.run(
      prepareGla(gpu.tuning(variant), {
        ...options,
        featureMap: map,
        gateRank: rank,
        gateUp: await gpu.input(gateUp),
        gateBias: await gpu.input(gateBias),
        gateNormalizer: 16,
        clampMin: clamp,
      }),
      step.counts,
    )
    const gate = await gpu.read(options.gate)
    const { keyDim } = shape
    expect(rmsError(await gpu.read(options.q), featureMap(map, inputs.q, keyDim))).toBeLessThan(
      1e-6,
    )
    expect(rmsError(await gpu.read(options.k), featureMap(map, inputs.k, keyDim))).toBeLessThan(
      1e-6,
    )
    expect(await gpu.read(options.v)).toEqual(inputs.v)
    expect(rmsError(gate, glaGates(inputs.gate, gateUp, gateBias, rank, 16, clamp))).toBeLessThan(
      1e-6,
    )
    if (clamp !== undefined) expect(gate).toContain(Math.fround(clamp))
  })
})

describe.each(variants)('prepare GSA, %s', (variant) => {
  test.each<{ map: GsaFeatureMap; shape: Shape; convolved: boolean; slots: number }>([
    { map: 'swish', shape: square, convolved: false, slots: 64 },
    { map: 'swish', shape: odd, convolved: true, slots: 5 },
    { map: 'relu', shape: odd, convolved: false, slots: 1 },
    { map: 't2r', shape: square, convolved: true, slots: 16 },
    { map: 't2r', shape: odd, convolved: false, slots: 7 },
  ])(
    '$map, convolved $convolved, $slots slots, $shape.name',
    async ({ map, shape, convolved, slots }) => {
      const gates = shape.kvHeads * slots
      const { random, step, inputs, options } = await setup(shape, gates, gates, convolved)
      const { keyDim, tokens } = shape
      const t2r = map === 't2r' ? random.normals(keyDim * keyDim, keyDim ** -0.5) : undefined
      const s = await gpu.output(tokens * gates)
      await gpu.run(
        prepareGsa(gpu.tuning(variant), {
          ...options,
          featureMap: map,
          t2r: t2r && (await gpu.input(t2r)),
          slots,
          gateNormalizer: 8,
          s,
        }),
        step.counts,
      )
      const expected = gsaGates(inputs.gate, 8)
      for (const [range, values] of [
        [options.q, featureMap(map, inputs.q, keyDim, t2r)],
        [options.k, featureMap(map, inputs.k, keyDim, t2r)],
        [options.v, Float64Array.from(inputs.v, silu)],
        [options.gate, expected.gate],
        [s, expected.s],
      ] as const) {
        expect(rmsError(await gpu.read(range), values)).toBeLessThan(1e-6)
      }
    },
  )

  test('t2r without its weights is refused', async () => {
    const { options } = await setup(odd, 3, 3, false)
    const wrong = { ...options, slots: 1, gateNormalizer: 8, s: options.gate }
    expect(() => prepareGsa(gpu.tuning(variant), { ...wrong, featureMap: 't2r' })).toThrow('t2r')
  })
})

test('rows of prompts alone', async () => {
  const channels = odd.kvHeads * odd.keyDim
  const { random, inputs, options } = await setup(odd, channels, 4, false)
  const step = await gpu.step(segmentsOf(['decode', 'decode', odd.tokens - 2]))
  await gpu.run(
    prepareGla(gpu.tuning('subgroup'), {
      ...options,
      step: step.tables,
      rows: 'prompt_tokens',
      featureMap: 'relu',
      gateRank: 4,
      gateUp: await gpu.input(random.normals(channels * 4)),
      gateBias: await gpu.input(random.normals(channels)),
      gateNormalizer: 16,
      clampMin: undefined,
    }),
    step.counts,
  )
  const [q, v, gate] = await Promise.all(
    [options.q, options.v, options.gate].map((range) => gpu.read(range)),
  )
  for (const rows of [q, v, gate]) {
    const decodes = (rows.length / odd.tokens) * 2
    expect(rows.slice(0, decodes).every(Number.isNaN)).toBe(true)
    expect(rows.slice(decodes).some(Number.isNaN)).toBe(false)
  }
  const first = 2 * odd.kvHeads * odd.valueDim
  expect(v.slice(first)).toEqual(inputs.v.slice(first))
})

import { describe, expect, test } from 'bun:test'
import { floats } from '../../src/gpu/activations.ts'
import { type GlaStepOptions, glaStep, glaStepFits } from '../../src/gpu/ops/gla-step.ts'
import type { GlaFeatureMap } from '../../src/gpu/ops/prepare.ts'
import { int8Output, readInt8 } from '../helpers/activations.ts'
import { decodeRows, splitColumns } from '../helpers/decode-rows.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { Random, rmsError } from '../helpers/numbers.ts'
import { quantizedError } from '../oracle/int8.ts'
import { silu } from '../oracle/math.ts'
import { rmsNorm } from '../oracle/norm.ts'
import { featureMap, glaGates } from '../oracle/prepare.ts'
import { gatedRecurrent } from '../oracle/recurrent.ts'

const gpu = await openTestGpu()
const tuning = gpu.tuning('subgroup')

interface Shape {
  heads: number
  kvHeads: number
  keyDim: number
  valueDim: number
  gateRank: number
  map: GlaFeatureMap
  clampMin?: number
  outputGate: boolean
  normWeight: boolean
}

const full = { map: 'identity' as const, outputGate: true, normWeight: true, gateRank: 16 }
const shapes: Shape[] = [
  { ...full, heads: 4, kvHeads: 1, keyDim: 128, valueDim: 128, map: 'relu' },
  { ...full, heads: 2, kvHeads: 2, keyDim: 4, valueDim: 32, gateRank: 4 },
  { ...full, heads: 6, kvHeads: 2, keyDim: 60, valueDim: 64, map: 'swish', clampMin: -0.05 },
  { ...full, heads: 8, kvHeads: 1, keyDim: 33, valueDim: 128, outputGate: false },
  { ...full, heads: 5, kvHeads: 1, keyDim: 7, valueDim: 96, gateRank: 8, normWeight: false },
  { ...full, heads: 4, kvHeads: 2, keyDim: 64, valueDim: 32, map: 'logsigmoid' },
  { ...full, heads: 7, kvHeads: 1, keyDim: 12, valueDim: 32 },
  { ...full, heads: 1, kvHeads: 1, keyDim: 256, valueDim: 512 },
]

/** A layer with random weights. */
async function makeLayer(shape: Shape, seed: number) {
  const { heads, kvHeads, keyDim, valueDim, gateRank } = shape
  const random = new Random(seed)
  const columns = [heads * keyDim, kvHeads * keyDim, kvHeads * valueDim, gateRank]
  if (shape.outputGate) columns.push(heads * valueDim)
  const stride = columns.reduce((a, b) => a + b)
  const channels = kvHeads * keyDim
  const up = random.normals(channels * gateRank, gateRank ** -0.5)
  const bias = random.normals(channels)
  const weight = shape.normWeight ? random.normals(valueDim) : undefined
  const scale = keyDim ** -0.5
  const options: Omit<GlaStepOptions, 'step' | 'p' | 'state' | 'slotStride' | 'y'> = {
    heads,
    kvHeads,
    keyDim,
    valueDim,
    gateRank,
    stride,
    featureMap: shape.map,
    gateUp: await gpu.input(up),
    gateBias: await gpu.input(bias),
    gateNormalizer: 16,
    clampMin: shape.clampMin,
    scale,
    weight: weight && (await gpu.input(weight)),
    eps: 1e-5,
    outputGate: shape.outputGate,
  }

  /** Rows of the layer by the definition; moves the slots' states on. */
  function expected(p: Float32Array, slots: readonly number[], pool: Float64Array, slot: number) {
    const [q, k, v, z, open] = splitColumns(p, stride, columns)
    const inputs = {
      q: featureMap(shape.map, q, keyDim),
      k: featureMap(shape.map, k, keyDim),
      v,
      gate: glaGates(z, up, bias, gateRank, 16, shape.clampMin),
    }
    const o = slots.flatMap((place, t) => {
      const state = pool.subarray(place * slot, place * slot + kvHeads * keyDim * valueDim)
      const heads = { ...shape, scale, gateAxis: 'key' as const }
      return [...gatedRecurrent(heads, inputs, state, t, t + 1)]
    })
    const normed = rmsNorm(o, valueDim, 1e-5, weight)
    return open ? normed.map((value, i) => value * silu(open[i])) : normed
  }
  return { random, stride, options, expected }
}

describe.each(shapes)('GLA step, $heads/$kvHeads heads, K $keyDim, V $valueDim, $map', (shape) => {
  test.each(['f32', 'int8'] as const)('%s rows, over three steps', async (output) => {
    const { heads, kvHeads, keyDim, valueDim } = shape
    const size = kvHeads * keyDim * valueDim
    const slotStride = size + (-size & 3) + 8
    const { random, stride, options, expected } = await makeLayer(shape, keyDim)
    const start = random.normals(6 * slotStride)
    const state = await gpu.input(start)
    const pool = Float64Array.from(start)
    const width = heads * valueDim
    for (const slots of [[3, 0, 4], [4], [5, 3, 0, 1, 4]]) {
      // A prompt behind the decode rows is not this kernel's.
      const step = await gpu.step(decodeRows(slots, 3))
      const tokens = slots.length + 3
      const p = random.normals(tokens * stride)
      const common = { ...options, step: step.tables, p: await gpu.input(p), state, slotStride }
      const rows = expected(p, slots, pool, slotStride)
      if (output === 'f32') {
        const y = await gpu.output(tokens * width)
        await gpu.run(glaStep(tuning, { ...common, y: floats(y) }), step.counts)
        const made = await gpu.read(y)
        expect(rmsError(made.slice(0, rows.length), rows)).toBeLessThan(2e-6)
        expect(made.slice(rows.length).every(Number.isNaN)).toBe(true)
      } else {
        const y = await int8Output(gpu, tokens, width)
        await gpu.run(glaStep(tuning, { ...common, y }), step.counts)
        const { bytes, scales, stride } = await readInt8(gpu, y)
        const made = { bytes: bytes.slice(0, rows.length), scales, stride }
        expect(quantizedError(made, rows, width)).toBeLessThan(0.502)
        expect(scales.slice(rows.length / 32).every(Number.isNaN)).toBe(true)
      }
    }
    const after = await gpu.read(state)
    expect(rmsError(after, pool)).toBeLessThan(1e-6)
    const slot = (index: number) => [index * slotStride, (index + 1) * slotStride] as const
    expect(after.slice(...slot(2))).toEqual(start.slice(...slot(2)))
    expect(after.slice(size, slotStride)).toEqual(start.slice(size, slotStride))
  })
})

test('a sequence gets the same bits alone and among others', async () => {
  const shape = shapes[5]
  const { kvHeads, keyDim, valueDim, heads } = shape
  const slotStride = kvHeads * keyDim * valueDim
  const { random, stride, options } = await makeLayer(shape, 3)
  const start = random.normals(5 * slotStride)
  const p = random.normals(5 * stride)
  const play = async (slots: number[], p: Float32Array) => {
    const step = await gpu.step(decodeRows(slots))
    const state = await gpu.input(start)
    const y = await gpu.output(slots.length * heads * valueDim)
    const common = { ...options, step: step.tables, p: await gpu.input(p), state, slotStride }
    await gpu.run(glaStep(tuning, { ...common, y: floats(y) }), step.counts)
    return {
      y: new Float32Array(await gpu.read(y)),
      state: new Float32Array(await gpu.read(state)),
    }
  }
  const slots = [4, 2, 0, 1, 3]
  const crowd = await play(slots, p)
  const size = heads * valueDim
  for (const [row, slot] of slots.entries()) {
    const alone = await play([slot], p.slice(row * stride, (row + 1) * stride))
    expect(crowd.y.slice(row * size, (row + 1) * size)).toEqual(alone.y)
    const own = [slot * slotStride, (slot + 1) * slotStride] as const
    expect(crowd.state.slice(...own)).toEqual(alone.state.slice(...own))
  }
})

test('which shapes it serves', () => {
  const shape = { heads: 32, kvHeads: 8, keyDim: 128, valueDim: 128, gateRank: 16 }
  expect(glaStepFits(tuning, shape)).toBe(true)
  expect(glaStepFits(gpu.tuning('plain'), shape)).toBe(false)
  expect(glaStepFits(tuning, { ...shape, heads: 72 })).toBe(false)
  expect(glaStepFits(tuning, { ...shape, valueDim: 130 })).toBe(false)
  expect(glaStepFits(tuning, { ...shape, valueDim: 260 })).toBe(false)
  expect(glaStepFits(tuning, { ...shape, keyDim: 1024 })).toBe(false)
  expect(glaStepFits(tuning, { ...shape, gateRank: 6 })).toBe(false)
})

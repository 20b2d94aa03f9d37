import { describe, expect, test } from 'bun:test'
import { type GsaStepOptions, gsaStep, gsaStepFits } from '../../src/gpu/ops/gsa-step.ts'
import { decodeRows, splitColumns } from '../helpers/decode-rows.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { Random, rmsError } from '../helpers/numbers.ts'
import { silu } from '../oracle/math.ts'
import { featureMap, gsaGates } from '../oracle/prepare.ts'
import { slotRecurrent } from '../oracle/recurrent.ts'

const gpu = await openTestGpu()
const tuning = gpu.tuning('subgroup')

interface Shape {
  heads: number
  kvHeads: number
  keyDim: number
  slots: number
  valueDim: number
  map: 'swish' | 'relu'
  /** Of the queries: large ones make the softmax choose a slot. */
  size: number
}

const shapes: Shape[] = [
  { heads: 4, kvHeads: 1, keyDim: 128, slots: 64, valueDim: 128, map: 'swish', size: 1 },
  { heads: 2, kvHeads: 2, keyDim: 4, slots: 4, valueDim: 32, map: 'relu', size: 1 },
  { heads: 6, kvHeads: 2, keyDim: 60, slots: 20, valueDim: 60, map: 'swish', size: 30 },
  { heads: 8, kvHeads: 1, keyDim: 33, slots: 64, valueDim: 128, map: 'relu', size: 1 },
  { heads: 5, kvHeads: 1, keyDim: 7, slots: 12, valueDim: 100, map: 'swish', size: 1 },
  { heads: 4, kvHeads: 2, keyDim: 64, slots: 64, valueDim: 64, map: 'swish', size: 1 },
  { heads: 1, kvHeads: 1, keyDim: 64, slots: 128, valueDim: 512, map: 'swish', size: 1 },
]

/** A layer's options, and its rows by the definition. */
function makeLayer(shape: Shape) {
  const { heads, kvHeads, keyDim, slots, valueDim, map } = shape
  const columns = [heads * keyDim, kvHeads * keyDim, kvHeads * valueDim, kvHeads * slots]
  const stride = columns.reduce((a, b) => a + b) + 1
  const keysSize = kvHeads * keyDim * slots
  const valuesAt = keysSize + (-keysSize & 3) + 4
  const slotStride = valuesAt + kvHeads * slots * valueDim + 8
  const options: Omit<GsaStepOptions, 'step' | 'p' | 'state' | 'o'> = {
    heads,
    kvHeads,
    keyDim,
    valueDim,
    slots,
    featureMap: map,
    stride,
    gateNormalizer: 8,
    slotStride,
    valuesAt,
    scale: 1,
  }

  function expected(p: Float32Array, rows: readonly number[], pool: Float64Array): number[] {
    const [q, k, v, f] = splitColumns(p, stride, columns)
    const { gate, s } = gsaGates(f, 8)
    const inputs = {
      q: featureMap(map, q, keyDim),
      k: featureMap(map, k, keyDim),
      v: Float64Array.from(v, silu),
      f: gate,
      s,
    }
    return rows.flatMap((slot, t) => {
      const at = slot * slotStride
      const keys = pool.subarray(at, at + keysSize)
      const values = pool.subarray(at + valuesAt, at + valuesAt + kvHeads * slots * valueDim)
      return [...slotRecurrent({ ...shape, scale: 1 }, inputs, keys, values, t, t + 1)]
    })
  }
  return { options, expected, keysSize }
}

/** Rows of p whose queries are `size` times as large as the rest. */
function randomRows(
  random: Random,
  { heads, keyDim, size }: Shape,
  tokens: number,
  stride: number,
) {
  return random.normals(tokens * stride).map((x, i) => (i % stride < heads * keyDim ? x * size : x))
}

describe.each(shapes)('GSA step, $heads/$kvHeads heads, $keyDim x $slots x $valueDim', (shape) => {
  test('rows and states over three steps', async () => {
    const { options, expected, keysSize } = makeLayer(shape)
    const { slotStride, valuesAt, stride } = options
    const random = new Random(shape.keyDim)
    // Memories as a sequence has them: what is written is at most as large as keys and values.
    const start = random.normals(6 * slotStride, 0.3)
    const state = await gpu.input(start)
    const pool = Float64Array.from(start)
    for (const rows of [[3, 0, 4], [4], [5, 3, 0, 1, 4]]) {
      const step = await gpu.step(decodeRows(rows, 2))
      const tokens = rows.length + 2
      const p = randomRows(random, shape, tokens, stride)
      const o = await gpu.output(tokens * shape.heads * shape.valueDim)
      const common = { ...options, step: step.tables, p: await gpu.input(p), state, o }
      await gpu.run(gsaStep(tuning, common), step.counts)
      const right = expected(p, rows, pool)
      const made = await gpu.read(o)
      // Scores of 30 times the size take 30 times the rounding into their exponentials.
      expect(rmsError(made.slice(0, right.length), right)).toBeLessThan(4e-6 * shape.size)
      expect(made.slice(right.length).every(Number.isNaN)).toBe(true)
    }
    const after = await gpu.read(state)
    expect(rmsError(after, pool)).toBeLessThan(1e-6)
    const same = (from: number, to: number) =>
      expect(after.slice(from, to)).toEqual(start.slice(from, to))
    same(2 * slotStride, 3 * slotStride)
    same(keysSize, valuesAt)
    same(slotStride - 8, slotStride)
  })
})

test('a sequence gets the same bits alone and among others', async () => {
  const shape = shapes[5]
  const { options } = makeLayer(shape)
  const { slotStride, stride } = options
  const random = new Random(8)
  const start = random.normals(5 * slotStride)
  const p = random.normals(5 * stride)
  const size = shape.heads * shape.valueDim
  const play = async (slots: number[], p: Float32Array) => {
    const step = await gpu.step(decodeRows(slots))
    const state = await gpu.input(start)
    const o = await gpu.output(slots.length * size)
    const common = { ...options, step: step.tables, p: await gpu.input(p), state, o }
    await gpu.run(gsaStep(tuning, common), step.counts)
    return {
      o: new Float32Array(await gpu.read(o)),
      state: new Float32Array(await gpu.read(state)),
    }
  }
  const slots = [4, 2, 0, 1, 3]
  const crowd = await play(slots, p)
  for (const [row, slot] of slots.entries()) {
    const alone = await play([slot], p.slice(row * stride, (row + 1) * stride))
    expect(crowd.o.slice(row * size, (row + 1) * size)).toEqual(alone.o)
    const own = [slot * slotStride, (slot + 1) * slotStride] as const
    expect(crowd.state.slice(...own)).toEqual(alone.state.slice(...own))
  }
})

test('which shapes it serves', () => {
  const shape = { heads: 32, kvHeads: 8, keyDim: 128, valueDim: 128, slots: 64 }
  const swish = { ...shape, featureMap: 'swish' as const }
  expect(gsaStepFits(tuning, swish)).toBe(true)
  expect(gsaStepFits(gpu.tuning('plain'), swish)).toBe(false)
  expect(gsaStepFits(tuning, { ...shape, featureMap: 't2r' })).toBe(false)
  expect(gsaStepFits(tuning, { ...swish, slots: 6 })).toBe(false)
  expect(gsaStepFits(tuning, { ...swish, heads: 72 })).toBe(false)
  expect(gsaStepFits(tuning, { ...swish, slots: 512 })).toBe(false)
})

import { describe, expect, test } from 'bun:test'
import {
  attend,
  expectAttended,
  type GateKind,
  gatedInputs,
  gateKinds,
  rowsOf,
  stateSize,
} from '../helpers/gated.ts'
import { openTestGpu, segmentsOf, variants } from '../helpers/gpu.ts'
import { Random, rmsError } from '../helpers/numbers.ts'
import type { GatedShape } from '../oracle/recurrent.ts'

const gpu = await openTestGpu()

// heads, kvHeads, keyDim, valueDim
const shapes: [number, number, number, number][] = [
  [4, 2, 64, 32],
  [4, 1, 128, 64],
  [1, 1, 1, 1],
  [3, 1, 5, 7],
  [8, 1, 60, 100],
  [6, 1, 7, 64],
  [8, 2, 16, 6],
  [2, 2, 100, 5],
  [40, 1, 12, 40],
  [4, 4, 256, 512],
]

/** Decode rows that hold these slots, in this order. */
function decodeRows(slots: number[]) {
  return segmentsOf(slots.map(() => 'decode' as const)).map((segment, i) => ({
    ...segment,
    slot: slots[i],
  }))
}

describe.each(variants)('recurrent, %s', (variant) => {
  describe.each([
    { gateAxis: 'key', shapes },
    { gateAxis: 'value', shapes: shapes.slice(0, 6) },
  ] as const)('gate axis $gateAxis', ({ gateAxis, shapes }) => {
    test.each(shapes)('%d heads, %d kv heads, K %d, V %d', async (heads, kvHeads, K, V) => {
      const shape: GatedShape = {
        heads,
        kvHeads,
        keyDim: K,
        valueDim: V,
        scale: K ** -0.5,
        gateAxis,
      }
      const random = new Random(K * V)
      const stride = stateSize(shape) + (V % 4 === 0 ? 8 : 3)
      const start = random.normals(5 * stride)
      let pool = start
      let expectedPool: ArrayLike<number> = start
      for (const slots of [[3, 0, 4], [4], [0, 3]]) {
        const segments = decodeRows(slots)
        const inputs = gatedInputs(random, shape, slots.length, 'strong')
        const actual = await attend(gpu, variant, shape, segments, inputs, pool, stride)
        // The oracle goes on from its own float64 states, so that errors of steps add up.
        const expected = expectAttended(shape, segments, inputs, expectedPool, stride)
        expectedPool = expected.pool
        expect(rmsError(actual.o, expected.o)).toBeLessThan(1e-6)
        pool = actual.pool
      }
      expect(rmsError(pool, expectedPool)).toBeLessThan(1e-6)
      for (const slot of [1, 2]) {
        const row = (data: Float32Array) => data.slice(slot * stride, (slot + 1) * stride)
        expect(row(pool)).toEqual(row(start))
      }
      const gap = (data: Float32Array) => data.slice(stateSize(shape), stride)
      expect(gap(pool)).toEqual(gap(start))
    })
  })

  test.each(Object.keys(gateKinds) as GateKind[])('thirty steps, %s gates', async (kind) => {
    const shape: GatedShape = {
      heads: 4,
      kvHeads: 2,
      keyDim: 32,
      valueDim: 20,
      scale: 1,
      gateAxis: 'key',
    }
    const random = new Random(9)
    const steps = 30
    const stride = stateSize(shape)
    const inputs = gatedInputs(random, shape, steps, kind)
    const start = random.normals(stride)
    const whole = segmentsOf([steps])
    const expected = expectAttended(shape, whole, inputs, start, stride)
    const o: number[] = []
    let pool = start
    for (let t = 0; t < steps; t++) {
      const token = rowsOf(inputs, steps, t, t + 1)
      const next = await attend(gpu, variant, shape, decodeRows([0]), token, pool, stride)
      o.push(...next.o)
      pool = next.pool
    }
    expect(rmsError(o, expected.o)).toBeLessThan(2e-6)
    expect(rmsError(pool, expected.pool)).toBeLessThan(2e-6)
  })

  test('a sequence gets the same bits alone and among others', async () => {
    const shape: GatedShape = {
      heads: 8,
      kvHeads: 2,
      keyDim: 64,
      valueDim: 48,
      scale: 0.125,
      gateAxis: 'key',
    }
    const random = new Random(4)
    const stride = stateSize(shape)
    const pool = random.normals(6 * stride)
    const inputs = gatedInputs(random, shape, 6)
    const slots = [5, 2, 0, 1, 4, 3]
    const crowd = await attend(gpu, variant, shape, decodeRows(slots), inputs, pool, stride)
    for (const [row, slot] of slots.entries()) {
      const own = rowsOf(inputs, 6, row, row + 1)
      const alone = await attend(gpu, variant, shape, decodeRows([slot]), own, pool, stride)
      const size = alone.o.length
      expect(crowd.o.slice(row * size, (row + 1) * size)).toEqual(alone.o)
      const state = (data: Float32Array) => data.slice(slot * stride, (slot + 1) * stride)
      expect(state(crowd.pool)).toEqual(state(alone.pool))
    }
  })
})

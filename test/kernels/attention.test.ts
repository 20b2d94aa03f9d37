// Softmax attention over one sequence: shapes, windows, prompts cut anywhere, extreme scores.
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { attention as plan } from '../../src/gpu/ops/attention.ts'
import { bits, runAttention } from '../helpers/attention.ts'
import { openTestGpu, segmentsOf, variants } from '../helpers/gpu.ts'
import { rmsError } from '../helpers/numbers.ts'
import type { StepShape } from '../helpers/packing.ts'

const gpu = await openTestGpu()

interface Case {
  heads: number
  kvHeads: number
  headDim: number
  window: number | undefined
  capacity: number
  /** A prompt is run whole, in these slices, and token by token (the last 40, behind a slice). */
  slices: number[]
}

// Subgroup kernels take a second to compile on a software driver: few cases, each used often.
setDefaultTimeout(60_000)

const cases: Case[] = [
  { heads: 4, kvHeads: 2, headDim: 64, window: 1, capacity: 1, slices: [1, 1, 9, 2] },
  { heads: 8, kvHeads: 4, headDim: 8, window: 7, capacity: 10, slices: [1, 5, 16, 2, 6, 20] },
  { heads: 4, kvHeads: 1, headDim: 60, window: 16, capacity: 16, slices: [7, 17, 1, 3, 16] },
  { heads: 4, kvHeads: 2, headDim: 16, window: 32, capacity: 32, slices: [40, 33, 1, 2] },
  { heads: 2, kvHeads: 2, headDim: 16, window: 140, capacity: 150, slices: [145, 1, 20] },
  { heads: 4, kvHeads: 1, headDim: 128, window: undefined, capacity: 40, slices: [20, 3, 17] },
  { heads: 10, kvHeads: 1, headDim: 10, window: undefined, capacity: 60, slices: [1, 41, 8] },
  { heads: 3, kvHeads: 3, headDim: 5, window: 4, capacity: 4, slices: [5, 2, 4, 3] },
  { heads: 2, kvHeads: 1, headDim: 576, window: undefined, capacity: 20, slices: [9, 1, 3] },
]

describe.each(variants)('attention, %s', (variant) => {
  test.each(cases)('$heads/$kvHeads heads of $headDim, $slices tokens', async (row) => {
    const { slices, ...shape } = row
    const length = slices.reduce((a, b) => a + b)
    const run = (steps: StepShape[]) => runAttention(gpu, variant, { ...shape, slots: [2], steps })
    const whole = await run([[[0, length]]])
    expect(rmsError(whole.outputs[0], whole.expected[0])).toBeLessThan(2e-6)
    const split = await run(slices.map((count) => [[0, count]]))
    const single = Math.min(length, 40)
    const head: StepShape[] = length > single ? [[[0, length - single]]] : []
    const tail = Array.from({ length: single }, (): StepShape => [[0, 'decode']])
    const tokens = await run([...head, ...tail])
    for (const cut of [split, tokens]) {
      expect(bits(cut.outputs[0])).toEqual(bits(whole.outputs[0]))
      expect(bits(cut.cache)).toEqual(bits(whole.cache))
    }
  })

  test('scores from nearly equal to one that outweighs all', async () => {
    for (const scale of [0.001, 30, 1000]) {
      const { outputs, expected } = await runAttention(gpu, variant, {
        heads: 2,
        kvHeads: 2,
        headDim: 16,
        window: 140,
        capacity: 150,
        slots: [2],
        steps: [[[0, 150]]],
        scale,
      })
      // Scores of size s are off by about s · 2^-24, and so are the weights, relatively.
      const allowed = Math.max(2e-6, scale ** 2 * 2e-7)
      expect(rmsError(outputs[0], expected[0])).toBeLessThan(allowed)
    }
  })

  test('wrong head counts and windows over the cache are refused', async () => {
    const step = await gpu.step(segmentsOf([1]))
    const range = await gpu.input([0])
    const ranges = { q: range, k: range, v: range, o: range, cache: range }
    const options = { step: step.tables, ...ranges, slotStride: 64, capacity: 4, headDim: 8 }
    const make = (heads: number, window: number | undefined) => () =>
      plan(gpu.tuning(variant), { ...options, heads, kvHeads: 2, window })
    expect(make(3, 2)).toThrow('3 heads over 2 kv heads')
    expect(make(2, 5)).toThrow('window')
    expect(make(2, 0)).toThrow('window')
  })
})

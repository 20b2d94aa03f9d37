// Softmax attention over several sequences in a step, and the cache pool that they share.
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { type AttentionRun, bits, runAttention } from '../helpers/attention.ts'
import { openTestGpu, variants } from '../helpers/gpu.ts'
import { rmsError } from '../helpers/numbers.ts'
import type { StepShape } from '../helpers/packing.ts'

const gpu = await openTestGpu()
// Subgroup kernels take a second to compile on a software driver.
setDefaultTimeout(60_000)
const shape = { heads: 8, kvHeads: 4, headDim: 8 }

describe.each(variants)('packed attention, %s', (variant) => {
  const run = (options: Omit<AttentionRun, 'heads' | 'kvHeads' | 'headDim'>) =>
    runAttention(gpu, variant, { ...shape, ...options })

  test.each([
    { name: 'a window', window: 16, capacity: 16, slack: 0 },
    { name: 'no window, odd slots', window: undefined, capacity: 150, slack: 1 },
  ])('$name: each sequence has the bits it gives alone', async ({ name: _, ...sizes }) => {
    const steps: StepShape[] = [
      [
        [0, 5],
        [1, 50],
        [2, 1],
      ],
      [
        [2, 'decode'],
        [0, 'decode'],
        [1, 30],
      ],
      [
        [1, 'decode'],
        [3, 140],
        [0, 3],
      ],
      [
        [3, 'decode'],
        [0, 'decode'],
        [1, 'decode'],
        [2, 'decode'],
      ],
    ]
    const slots = [5, 1, 3, 0]
    const packed = await run({ ...sizes, slots, steps })
    for (const [sequence, slot] of slots.entries()) {
      expect(rmsError(packed.outputs[sequence], packed.expected[sequence])).toBeLessThan(2e-6)
      const own = steps.flatMap((step) => step.filter(([index]) => index === sequence))
      const alone = await run({
        ...sizes,
        slots: [slot],
        seeds: [sequence],
        steps: own.map(([, length]) => [[0, length]]),
      })
      expect(bits(packed.outputs[sequence])).toEqual(bits(alone.outputs[0]))
    }
  })

  test('the cache holds the last tokens of each sequence and nothing else changes', async () => {
    const capacity = 16
    const { cache, inputs, slotStride } = await run({
      window: 16,
      capacity,
      slots: [2, 0],
      steps: [
        [
          [0, 21],
          [1, 3],
        ],
        [
          [1, 'decode'],
          [0, 4],
        ],
      ],
    })
    const row = shape.kvHeads * shape.headDim
    const expected = new Float32Array(cache.length).fill(Number.NaN)
    for (const [sequence, slot, first, last] of [
      [0, 2, 9, 24],
      [1, 0, 0, 3],
    ]) {
      for (let t = first; t <= last; t++) {
        const at = slot * slotStride + (t % capacity) * row
        const { k, v } = inputs[sequence]
        expected.set(k.subarray(t * row, (t + 1) * row), at)
        expected.set(v.subarray(t * row, (t + 1) * row), at + capacity * row)
      }
    }
    expect(bits(cache)).toEqual(bits(expected))
  })
})

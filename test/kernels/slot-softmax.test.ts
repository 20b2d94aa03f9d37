import { describe, expect, test } from 'bun:test'
import { slotSoftmax } from '../../src/gpu/ops/slot-softmax.ts'
import { openTestGpu, segmentsOf, variants } from '../helpers/gpu.ts'
import { Random, rmsError } from '../helpers/numbers.ts'
import { softmax } from '../oracle/math.ts'

const gpu = await openTestGpu()

describe.each(variants)('slot softmax, %s', (variant) => {
  test.each([
    { tokens: 1, heads: 1, slots: 1, size: 1 },
    { tokens: 5, heads: 3, slots: 6, size: 3 },
    { tokens: 7, heads: 4, slots: 64, size: 1 },
    { tokens: 2, heads: 2, slots: 200, size: 20 },
    // exp() of these logits themselves is past float32.
    { tokens: 3, heads: 2, slots: 32, size: 1000 },
  ])('$tokens tokens, $heads heads, $slots slots, logits of $size', async (problem) => {
    const { tokens, heads, slots, size } = problem
    const logits = new Random(slots).normals(tokens * heads * slots, size)
    const step = await gpu.step(segmentsOf(['decode', ...(tokens > 1 ? [tokens - 1] : [])]))
    const p = await gpu.output(logits.length)
    await gpu.run(
      [
        slotSoftmax(gpu.tuning(variant), {
          step: step.tables,
          logits: await gpu.input(logits),
          p,
          heads,
          slots,
        }),
      ],
      step.counts,
    )
    const expected: number[] = []
    for (let first = 0; first < logits.length; first += slots) {
      expected.push(...softmax(Float64Array.from(logits.subarray(first, first + slots))))
    }
    expect(rmsError(await gpu.read(p), expected)).toBeLessThan(1e-6)
  })

  test('prompt rows alone', async () => {
    const [heads, slots] = [2, 8]
    const row = heads * slots
    const logits = new Random(5).normals(5 * row)
    const step = await gpu.step(segmentsOf(['decode', 'decode', 3]))
    const p = await gpu.output(logits.length)
    const options = { step: step.tables, logits: await gpu.input(logits), p, heads, slots }
    const rows = 'prompt_tokens' as const
    await gpu.run([slotSoftmax(gpu.tuning(variant), { ...options, rows })], step.counts)
    const made = await gpu.read(p)
    expect(made.slice(0, 2 * row).every(Number.isNaN)).toBe(true)
    const expected: number[] = []
    for (let first = 2 * row; first < logits.length; first += slots) {
      expected.push(...softmax(Float64Array.from(logits.subarray(first, first + slots))))
    }
    expect(rmsError(made.slice(2 * row), expected)).toBeLessThan(1e-6)
  })
})

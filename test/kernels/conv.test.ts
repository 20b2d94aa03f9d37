import { describe, expect, test } from 'bun:test'
import { shortConv as plan } from '../../src/gpu/ops/conv.ts'
import { openTestGpu, variants } from '../helpers/gpu.ts'
import { Random, rmsError } from '../helpers/numbers.ts'
import { gather, packSteps, type StepShape, scatter } from '../helpers/packing.ts'
import { shortConv } from '../oracle/conv.ts'

const gpu = await openTestGpu()
const SLOTS = 6

interface Run {
  channels: number
  size: number
  bias?: boolean
  /** Slot of each sequence. */
  slots: number[]
  steps: StepShape[]
}

/** Runs the steps on the device and gives each sequence's outputs and the state pool afterwards. */
async function runSteps(variant: (typeof variants)[number], run: Run) {
  const { channels, size, slots } = run
  const random = new Random(channels * size)
  const steps = packSteps(slots, run.steps)
  const lengths = slots.map((_, sequence) =>
    steps
      .flatMap((step) => step.rows)
      .reduce((sum, row) => sum + (row.sequence === sequence ? row.count : 0), 0),
  )
  const stride = channels + 5
  const p = lengths.map((length) => random.normals(length * stride))
  const weight = random.normals(channels * size)
  const bias = run.bias ? random.normals(channels) : undefined
  // Slots start at zero where a sequence lives, and hold a mark where none does.
  const slotStride = channels * (size - 1) + 3
  const pool = new Float32Array(64 + SLOTS * slotStride).fill(7)
  for (const slot of slots) {
    const start = 64 + slot * slotStride
    pool.fill(0, start, start + channels * (size - 1))
  }
  const state = { ...(await gpu.input(pool)), offset: 256 }
  const weightBuffer = await gpu.input(weight)
  const biasBuffer = bias && (await gpu.input(bias))
  const y = lengths.map((length) => new Float32Array(length * channels))
  for (const packed of steps) {
    const step = await gpu.step(packed.segments)
    const out = await gpu.output(packed.tokens * channels)
    const options = {
      step: step.tables,
      p: await gpu.input(gather(packed, p, stride)),
      stride,
      channels,
      size,
      weight: weightBuffer,
      bias: biasBuffer,
      y: out,
      state,
      slotStride,
    }
    await gpu.run([plan(gpu.tuning(variant), options)], step.counts)
    scatter(packed, await gpu.read(out), y, channels)
  }
  const expected = p.map((rows) => {
    const x = rows.filter((_, at) => at % stride < channels)
    return shortConv(x, channels, size, weight, bias)
  })
  const after = await gpu.read({ buffer: state.buffer })
  return { y, expected, pool: after, slotStride }
}

/** Checks outputs, states handed on, and that nothing else in the pool changed. */
async function check(variant: (typeof variants)[number], run: Run) {
  const { y, expected, pool, slotStride } = await runSteps(variant, run)
  const kept = run.channels * (run.size - 1)
  const marked = Float32Array.from(pool)
  for (const [sequence, slot] of run.slots.entries()) {
    expect(rmsError(y[sequence], expected[sequence].y)).toBeLessThan(1e-6)
    const start = 64 + slot * slotStride
    expect([...pool.subarray(start, start + kept)]).toEqual([...expected[sequence].state])
    marked.fill(7, start, start + kept)
  }
  expect(marked).toEqual(new Float32Array(marked.length).fill(7))
}

describe.each(variants)('short convolution, %s', (variant) => {
  test.each([1, 2, 3, 4, 7])('filter of %d: lengths 1, 2, 3 and 100 packed', async (size) => {
    const steps: StepShape[] = [
      [
        [0, 1],
        [1, 2],
        [2, 3],
        [3, 100],
      ],
    ]
    await check(variant, { channels: 20, size, slots: [4, 1, 5, 0], steps })
  })

  test.each([2, 3, 4])(
    'filter of %d: state handed over, prompts beside decode rows',
    async (size) => {
      const steps: StepShape[] = [
        [
          [0, 5],
          [1, 1],
        ],
        [
          [1, 'decode'],
          [0, 2],
          [2, 70],
        ],
        [
          [2, 'decode'],
          [0, 'decode'],
          [1, 'decode'],
        ],
        [
          [0, 'decode'],
          [1, 1],
          [2, 3],
        ],
      ]
      await check(variant, { channels: 67, size, bias: true, slots: [3, 0, 2], steps })
    },
  )

  test('token by token gives the bits of the whole run', async () => {
    const shape = { channels: 33, size: 4, bias: true, slots: [2] }
    const whole = await runSteps(variant, { ...shape, steps: [[[0, 24]]] })
    const single = Array.from({ length: 24 }, (): StepShape => [[0, 'decode']])
    const steps = await runSteps(variant, { ...shape, steps: single })
    expect(steps.y).toEqual(whole.y)
    expect(steps.pool).toEqual(whole.pool)
  })
})

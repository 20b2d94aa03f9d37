// Runs softmax attention over sequences that are cut into steps.
import { attention as plan } from '../../src/gpu/ops/attention.ts'
import type { Variant } from '../../src/gpu/tuning.ts'
import { type AttentionShape, attention } from '../oracle/attention.ts'
import type { openTestGpu } from './gpu.ts'
import { Random } from './numbers.ts'
import { gather, packSteps, type StepShape, scatter } from './packing.ts'

export interface AttentionRun extends AttentionShape {
  /** Rows of the cache. */
  capacity: number
  /** Slot of each sequence. */
  slots: number[]
  /** Seed of each sequence; its index where undefined. */
  seeds?: number[]
  steps: StepShape[]
  /** Standard deviation of queries and keys; 1 if undefined. */
  scale?: number
  /** Floats of a slot behind the cache; 0 if undefined. */
  slack?: number
}

/** For exact comparisons: NaN is equal to itself only as bits. */
export function bits(x: Float32Array): Uint32Array {
  return new Uint32Array(x.buffer, x.byteOffset, x.length)
}

/**
 * Outputs of each sequence, the float64 results, and the cache pool afterwards. The pool starts as
 * NaN, so that a row read before it was written shows.
 */
export async function runAttention(
  gpu: Awaited<ReturnType<typeof openTestGpu>>,
  variant: Variant,
  run: AttentionRun,
) {
  const { heads, kvHeads, headDim, window, capacity, slots } = run
  const steps = packSteps(slots, run.steps)
  const [width, kvWidth] = [heads * headDim, kvHeads * headDim]
  const inputs = slots.map((_, sequence) => {
    const rows = steps.flatMap((step) => step.rows).filter((row) => row.sequence === sequence)
    const length = rows.reduce((sum, row) => sum + row.count, 0)
    const random = new Random(run.seeds?.[sequence] ?? sequence)
    return {
      q: random.normals(length * width, run.scale),
      k: random.normals(length * kvWidth, run.scale),
      v: random.normals(length * kvWidth),
    }
  })
  const slotStride = 2 * capacity * kvWidth + (run.slack ?? 0)
  const cache = await gpu.output((Math.max(...slots) + 2) * slotStride)
  const outputs = inputs.map(({ q }) => new Float32Array(q.length))
  for (const packed of steps) {
    const step = await gpu.step(packed.segments)
    const packedInput = (name: 'q' | 'k' | 'v', size: number) => {
      const data = inputs.map((input) => input[name])
      return gpu.input(gather(packed, data, size))
    }
    const o = await gpu.output(packed.tokens * width)
    const options = {
      step: step.tables,
      q: await packedInput('q', width),
      k: await packedInput('k', kvWidth),
      v: await packedInput('v', kvWidth),
      o,
      cache,
      slotStride,
      capacity,
      window,
      heads,
      kvHeads,
      headDim,
    }
    await gpu.run(plan(gpu.tuning(variant), options), step.counts)
    scatter(packed, await gpu.read(o), outputs, width)
  }
  return {
    outputs,
    expected: inputs.map(({ q, k, v }) => attention(q, k, v, run)),
    inputs,
    cache: await gpu.read(cache),
    slotStride,
  }
}

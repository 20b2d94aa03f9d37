// Decode rows of steps and their fused projections, for tests of the fused decode steps.
import type { Segment } from '../../src/gpu/step.ts'
import { segmentsOf } from './gpu.ts'

/** Decode rows that hold these slots, in this order, then a prompt segment of so many tokens. */
export function decodeRows(slots: readonly number[], prompt = 0): Segment[] {
  const lengths = [...slots.map(() => 'decode' as const), ...(prompt > 0 ? [prompt] : [])]
  return segmentsOf(lengths).map((segment, i) => ({ ...segment, slot: slots[i] ?? segment.slot }))
}

/** Column ranges of p [tokens, stride], one after another, each [tokens, count]. */
export function splitColumns(
  p: Float32Array,
  stride: number,
  counts: readonly number[],
): Float32Array[] {
  const tokens = p.length / stride
  let first = 0
  return counts.map((count) => {
    const from = first
    first += count
    return Float32Array.from({ length: tokens * count }, (_, at) => {
      return p[Math.floor(at / count) * stride + from + (at % count)]
    })
  })
}

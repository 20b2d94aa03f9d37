// Sequences cut into steps: which rows of each sequence stand where on a step's packed token axis.
import type { Segment } from '../../src/gpu/step.ts'

/** Segments of one step: the sequence, and how many of its next tokens. */
export type StepShape = (readonly [sequence: number, tokens: number | 'decode'])[]

export interface PackedStep {
  segments: Segment[]
  tokens: number
  /** Rows first … first + count - 1 of a sequence, in packed order. */
  rows: { sequence: number; first: number; count: number }[]
}

/** Lays out steps over sequences that start at position 0; sequence i lives in slot slots[i]. */
export function packSteps(slots: readonly number[], shapes: readonly StepShape[]): PackedStep[] {
  const seen = slots.map(() => 0)
  return shapes.map((shape) => {
    const step: PackedStep = { segments: [], tokens: 0, rows: [] }
    for (const [sequence, length] of shape) {
      const count = length === 'decode' ? 1 : length
      const position = seen[sequence]
      step.segments.push({
        slot: slots[sequence],
        tokens: new Array(count).fill(0),
        position,
        logits: 'none',
        decode: length === 'decode',
      })
      step.rows.push({ sequence, first: position, count })
      step.tokens += count
      seen[sequence] += count
    }
    return step
  })
}

/** The packed rows of a step; data[i] is [tokens of sequence i, width]. */
export function gather(step: PackedStep, data: readonly Float32Array[], width: number) {
  const packed = new Float32Array(step.tokens * width)
  let row = 0
  for (const { sequence, first, count } of step.rows) {
    packed.set(data[sequence].subarray(first * width, (first + count) * width), row * width)
    row += count
  }
  return packed
}

/** The reverse of gather. */
export function scatter(
  step: PackedStep,
  packed: Float32Array,
  data: readonly Float32Array[],
  width: number,
): void {
  let row = 0
  for (const { sequence, first, count } of step.rows) {
    data[sequence].set(packed.subarray(row * width, (row + count) * width), first * width)
    row += count
  }
}

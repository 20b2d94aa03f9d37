// The softmax between the two passes of gated slot attention.
import { kernels } from '../../../kernels/index.ts'
import type { BufferRange } from '../buffers.ts'
import { fold } from '../grid.ts'
import type { Plan } from '../program.ts'
import type { StepTables } from '../step.ts'
import type { Tuning } from '../tuning.ts'
import { type RowSet, rowCount } from './rows.ts'

export interface SlotSoftmaxOptions {
  step: StepTables
  /** [tokens, heads, slots] f32 */
  logits: BufferRange
  /** [tokens, heads, slots] f32, in another buffer. */
  p: BufferRange
  heads: number
  slots: number
  /** Tokens whose rows are made; all if undefined. */
  rows?: RowSet
}

/** p = softmax of the logits over the slots: kernels/slot_softmax.wgsl. */
export function slotSoftmax(tuning: Tuning, options: SlotSoftmaxOptions): Plan {
  const { step, logits, p, heads, slots, rows = 'tokens' } = options
  const subgroup = tuning.variant === 'subgroup'
  // 128 is the largest subgroup there is, so that a workgroup never is a part of one.
  const workgroup = subgroup ? 128 : 16
  return {
    kernel: kernels.slotSoftmax,
    params: {
      VARIANT: tuning.variant,
      WORKGROUP: workgroup,
      HEADS: heads,
      SLOTS: slots,
      ROWS: rows,
    },
    bindings: { counts: step.counts, logits, p },
    grid: (counts) => {
      const total = rowCount(rows, counts) * heads
      return total > 0 ? fold(subgroup ? total : Math.ceil(total / workgroup)) : undefined
    },
  }
}

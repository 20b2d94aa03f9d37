// The embedding gather: rows of the embedding table by token id.
import { kernels } from '../../../kernels/index.ts'
import type { BufferRange } from '../buffers.ts'
import type { Matrix } from '../matrix.ts'
import type { Plan } from '../program.ts'
import type { StepTables } from '../step.ts'
import type { Tuning } from '../tuning.ts'

export interface EmbedOptions {
  step: StepTables
  /** [vocabulary, D]; every id of the step is below its number of rows. */
  table: Matrix
  /** [slots] u32: the token that was sampled last for each slot. */
  sampled: BufferRange
  /** [tokens, D] f32 */
  x: BufferRange
}

/** x[t] = table[tokens[t]]: kernels/embed.wgsl. */
export function embed(tuning: Tuning, { step, table, sampled, x }: EmbedOptions): Plan {
  const workgroup = tuning.variant === 'subgroup' ? 64 : 16
  const across = Math.ceil(table.columns / 4 / workgroup)
  return {
    kernel: kernels.embed,
    params: {
      WORKGROUP: workgroup,
      DIM: table.columns,
      TABLE: table.type,
      STRIDE: table.stride,
    },
    bindings: {
      counts: step.counts,
      tokens: step.tokens,
      table: table.range,
      x,
      sampled,
      ...(table.scales && { scales: table.scales }),
    },
    grid: (counts) => [across, counts.tokens, 1],
  }
}

// Which rows of a step a dispatch makes: ROWS of kernels/rows.wgsl.
import type { StepCounts } from '../program.ts'

/** `decode_tokens` and `prompt_tokens` together are `tokens`; decode rows come first. */
export type RowSet = 'tokens' | 'decode_tokens' | 'prompt_tokens' | 'logit_rows'

/** How many rows of a kind a step has. */
export function rowCount(rows: RowSet, counts: StepCounts): number {
  switch (rows) {
    case 'tokens':
      return counts.tokens
    case 'decode_tokens':
      return counts.decodes
    case 'prompt_tokens':
      return counts.tokens - counts.decodes
    case 'logit_rows':
      return counts.logitRows
  }
}

// The dispatch of kernels that compute every number of a token on its own.
import { fold } from '../grid.ts'
import type { Grid } from '../program.ts'
import { type RowSet, rowCount } from './rows.ts'

/** Workgroup size of elementwise kernels. */
export const ELEMENTWISE = 64

/** One invocation for each of `numbers` numbers of every row; no grid without rows. */
export function perToken(numbers: number, rows: RowSet = 'tokens'): Grid {
  return (counts) => {
    const count = rowCount(rows, counts)
    return count > 0 ? fold(Math.ceil((count * numbers) / ELEMENTWISE)) : undefined
  }
}

// The dispatch of kernels that compute every number of a token on its own.
import { fold } from '../grid.ts'
import type { Grid } from '../program.ts'

/** Workgroup size of elementwise kernels. */
export const ELEMENTWISE = 64

/** One invocation for each of `numbers` numbers of every token. */
export function perToken(numbers: number): Grid {
  return (counts) => fold(Math.ceil((counts.tokens * numbers) / ELEMENTWISE))
}

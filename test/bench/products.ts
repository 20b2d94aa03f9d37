// The matrix products among a step's dispatches: their shapes, and what they read and compute.
import { type MatrixType, matrixBytes } from '../../src/gpu/matrix.ts'
import { type RowSet, rowCount } from '../../src/gpu/ops/rows.ts'
import type { StepCounts } from '../../src/gpu/program.ts'
import type { ActiveDispatch } from './step-dispatches.ts'

/** y [rows, N] = x [rows, K] · weightsᵀ. */
export interface Product {
  N: number
  K: number
  type: MatrixType
  /** Numbers from one weight row to the next. */
  stride: number
  epilogue: string
  /** First row that it makes, and how many. */
  firstRow: number
  rows: number
  /** Of the weights with their scales. */
  bytes: number
  /** Two for each multiplication with a weight. */
  operations: number
}

/** Undefined for dispatches that are no products. */
export function productOf({ params }: ActiveDispatch, counts: StepCounts): Product | undefined {
  const type = params.get('WEIGHTS') as MatrixType | undefined
  const [N, K, stride] = ['N', 'K', 'WEIGHT_STRIDE'].map((name) => Number(params.get(name)))
  if (type === undefined || !(N > 0 && K > 0 && stride >= K)) return undefined
  const set = (params.get('ROWS') ?? 'tokens') as RowSet
  const rows = rowCount(set, counts)
  return {
    ...{ N, K, type, stride, rows },
    epilogue: params.get('EPILOGUE') ?? 'store',
    firstRow: set === 'prompt_tokens' ? counts.decodes : 0,
    bytes: matrixBytes({ rows: N, columns: K, stride, type }),
    operations: 2 * N * K * rows,
  }
}

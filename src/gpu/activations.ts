// What matrix products read and write beside weights: rows of float32, or for integer weights rows of
// int8 in groups with a scale each.
import { alignUp, type BufferRange } from './buffers.ts'
import { isQuantized, type MatrixType, QUANT_GROUP } from './matrix.ts'

/**
 * Rows of numbers that feed a product. `int8`: four signed bytes a word, byte j of word i is number
 * 4i + j; number = integer · scale of its group; rows are `stride` numbers apart, zero past their end.
 */
export type Activations = { norm?: DeferredNorm } & (
  | { type: 'f32'; range: BufferRange }
  | {
      type: 'int8'
      /** [rows, stride / 4] u32 */
      range: BufferRange
      /** [rows, stride / QUANT_GROUP] f32 */
      scales: BufferRange
      /** Numbers from one row to the next, a multiple of QUANT_GROUP. */
      stride: number
    }
)

/**
 * In steps of up to `most` rows these rows are x · weight, and a product with them divides by the root
 * mean square of x, which it finds in `squares`; in larger ones they are normalised already.
 */
export interface DeferredNorm {
  most: number
  /** [rows, dim / 32] f32, sums of squares of 32 numbers of x each. */
  squares: BufferRange
  /** [dim] f32 */
  weight: BufferRange
  dim: number
  eps: number
}

/** Float32 rows that lie in a buffer already. */
export function floats(range: BufferRange): Activations {
  return { type: 'f32', range }
}

/**
 * Rows of `dim` numbers for products with weights of a type.
 * @param allocate gives a buffer of so many bytes under a name
 */
export async function allocateActivations(
  allocate: (name: string, bytes: number) => Promise<BufferRange>,
  name: string,
  weights: MatrixType,
  rows: number,
  dim: number,
): Promise<Activations> {
  if (!isQuantized(weights)) return floats(await allocate(name, rows * dim * 4))
  const stride = alignUp(dim, QUANT_GROUP)
  return {
    type: 'int8',
    range: await allocate(`${name} int8`, rows * stride),
    scales: await allocate(`${name} scales`, (rows * stride * 4) / QUANT_GROUP),
    stride,
  }
}

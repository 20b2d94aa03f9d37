// Integer activations as numbers again.
import { QUANT_GROUP } from '../../src/gpu/matrix.ts'

/** What comes back from the GPU: bytes [rows, stride] and scales [rows, stride / 32]. */
export interface Quantized {
  bytes: Int8Array
  scales: Float32Array
  stride: number
}

/**
 * Largest distance of int8 rows from `expected` [rows, dim], in steps of each group's right scale;
 * 0.5 is the best there is. Infinite if a scale is off by more than 1e-5, or if a group of zeros or
 * the padding behind a row is not zero.
 */
export function quantizedError(
  { bytes, scales, stride }: Quantized,
  expected: ArrayLike<number>,
  dim: number,
): number {
  const groups = stride / QUANT_GROUP
  const rows = expected.length / dim
  let worst = 0
  for (let row = 0; row < rows; row++) {
    for (let group = 0; group < groups; group++) {
      const values = Array.from({ length: QUANT_GROUP }, (_, i) => {
        const column = group * QUANT_GROUP + i
        return column < dim ? expected[row * dim + column] : 0
      })
      const right = Math.max(...values.map(Math.abs)) / 127
      const scale = scales[row * groups + group]
      if (!(Math.abs(scale - right) <= 1e-5 * right)) return Number.POSITIVE_INFINITY
      for (const [i, value] of values.entries()) {
        const column = group * QUANT_GROUP + i
        const byte = bytes[row * stride + column]
        const outside = right === 0 || column >= dim
        if (outside && byte !== 0) return Number.POSITIVE_INFINITY
        if (!outside) worst = Math.max(worst, Math.abs(byte * scale - value) / right)
      }
    }
  }
  return worst
}

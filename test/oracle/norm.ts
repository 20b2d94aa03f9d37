// RMSNorm in float64.

/** x [rows, dim] → x · weight / sqrt(mean(x²) + eps), row by row. */
export function rmsNorm(
  x: ArrayLike<number>,
  dim: number,
  eps: number,
  weight?: ArrayLike<number>,
): Float64Array {
  const y = new Float64Array(x.length)
  for (let row = 0; row < x.length / dim; row++) {
    let squares = 0
    for (let i = 0; i < dim; i++) squares += x[row * dim + i] ** 2
    const scale = 1 / Math.sqrt(squares / dim + eps)
    for (let i = 0; i < dim; i++) y[row * dim + i] = x[row * dim + i] * scale * (weight?.[i] ?? 1)
  }
  return y
}

// Matrix products with their epilogues in float64.
import { silu } from './math.ts'

export interface MatmulOptions {
  /** [rows, stride] */
  x: ArrayLike<number>
  /** [N, K] */
  weights: ArrayLike<number>
  rows: number
  N: number
  K: number
  /** Of x; K and 0 if undefined. */
  stride?: number
  offset?: number
  /** [N] */
  bias?: ArrayLike<number>
  epilogue?: 'store' | 'add' | 'swiglu'
  /** [rows, N]: what `add` adds to. */
  y?: ArrayLike<number>
}

/** x · weightsᵀ (+ bias), then the epilogue: [rows, N], for swiglu [rows, N / 2]. */
export function matmul(options: MatmulOptions): Float64Array {
  const { x, weights, rows, N, K, stride = K, offset = 0, bias, epilogue = 'store', y } = options
  const product = new Float64Array(rows * N)
  for (let row = 0; row < rows; row++) {
    for (let n = 0; n < N; n++) {
      let sum = bias?.[n] ?? 0
      for (let k = 0; k < K; k++) sum += x[row * stride + offset + k] * weights[n * K + k]
      product[row * N + n] = sum
    }
  }
  if (epilogue === 'store') return product
  if (epilogue === 'add') return product.map((sum, i) => sum + (y?.[i] ?? Number.NaN))
  return Float64Array.from(
    { length: (rows * N) / 2 },
    (_, i) => silu(product[2 * i]) * product[2 * i + 1],
  )
}

// Rotary embedding and causal softmax attention in float64.
import { softmax } from './math.ts'

/** x [tokens, heads, dim] turned by each token's position, channel i with channel i + dim / 2. */
export function rotary(
  x: ArrayLike<number>,
  positions: readonly number[],
  dim: number,
  theta: number,
): Float64Array {
  const width = x.length / positions.length
  const half = dim / 2
  return Float64Array.from(x, (value, at) => {
    const channel = at % dim
    const angle = positions[Math.floor(at / width)] * theta ** ((-2 * (channel % half)) / dim)
    const other = channel < half ? -x[at + half] : x[at - half]
    return value * Math.cos(angle) + other * Math.sin(angle)
  })
}

export interface AttentionShape {
  heads: number
  kvHeads: number
  headDim: number
  /** Tokens that a token sees, itself included; undefined for all. */
  window: number | undefined
}

/** One whole sequence: q [tokens, heads, dim], k and v [tokens, kvHeads, dim] → as q. */
export function attention(
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  { heads, kvHeads, headDim, window }: AttentionShape,
): Float64Array {
  const tokens = q.length / heads / headDim
  const o = new Float64Array(q.length)
  for (let t = 0; t < tokens; t++) {
    const first = window === undefined ? 0 : Math.max(0, t - window + 1)
    for (let h = 0; h < heads; h++) {
      const at = (t * heads + h) * headDim
      const row = (j: number) => (j * kvHeads + Math.floor((h * kvHeads) / heads)) * headDim
      const scores = Float64Array.from({ length: t - first + 1 }, (_, j) => {
        let score = 0
        for (let i = 0; i < headDim; i++) score += q[at + i] * k[row(first + j) + i]
        return score / Math.sqrt(headDim)
      })
      for (const [j, weight] of softmax(scores).entries()) {
        for (let i = 0; i < headDim; i++) o[at + i] += weight * v[row(first + j) + i]
      }
    }
  }
  return o
}

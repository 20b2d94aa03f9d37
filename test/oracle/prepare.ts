// Feature maps, log gates and write strengths in float64 (GLA and GSA layers up to their mixers).
import { logSigmoid, sigmoid, silu } from './math.ts'

const relu = (x: number): number => Math.max(x, 0)

const elementwise: Readonly<Record<string, (x: number) => number>> = {
  identity: (x) => x,
  relu,
  swish: silu,
  sigmoid,
  sqrelu: (x) => relu(x) ** 2,
  gelu: (x) => 0.5 * x * (1 + Math.tanh(0.79788456 * (x + 0.044715 * x ** 3))),
  logsigmoid: logSigmoid,
}

/** x [rows, dim] through a feature map; `t2r` is the matrix [dim out, dim in] of the map t2r. */
export function featureMap(
  name: string,
  x: ArrayLike<number>,
  dim: number,
  t2r?: ArrayLike<number>,
): Float64Array {
  if (!t2r) return Float64Array.from(x, elementwise[name])
  return Float64Array.from(x, (_, at) => {
    const [row, out] = [Math.floor(at / dim), at % dim]
    let sum = 0
    for (let i = 0; i < dim; i++) sum += t2r[out * dim + i] * x[row * dim + i]
    return relu(sum)
  })
}

/** Log gates of GLA: z [tokens, rank], up [channels, rank], bias [channels] → [tokens, channels]. */
export function glaGates(
  z: ArrayLike<number>,
  up: ArrayLike<number>,
  bias: ArrayLike<number>,
  rank: number,
  normalizer: number,
  clampMin = Number.NEGATIVE_INFINITY,
): Float64Array {
  const channels = bias.length
  return Float64Array.from({ length: (z.length / rank) * channels }, (_, at) => {
    const [token, channel] = [Math.floor(at / channels), at % channels]
    let x = bias[channel]
    for (let r = 0; r < rank; r++) x += up[channel * rank + r] * z[token * rank + r]
    return Math.max(logSigmoid(x) / normalizer, clampMin)
  })
}

/** Log gates of GSA and the write strengths that go with them. */
export function gsaGates(
  f: ArrayLike<number>,
  normalizer: number,
): { gate: Float64Array; s: Float64Array } {
  const gate = Float64Array.from(f, (x) => logSigmoid(x) / normalizer)
  return { gate, s: gate.map((g) => -Math.expm1(g)) }
}

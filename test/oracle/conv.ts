// The short convolution in float64.
import { silu } from './math.ts'

/**
 * One sequence from its start: x [tokens, channels], weight [channels, size], newest token last.
 * @returns y [tokens, channels] and the state [channels, size - 1]: the last inputs, oldest first.
 */
export function shortConv(
  x: ArrayLike<number>,
  channels: number,
  size: number,
  weight: ArrayLike<number>,
  bias?: ArrayLike<number>,
): { y: Float64Array; state: Float64Array } {
  const tokens = x.length / channels
  const input = (token: number, channel: number) => (token < 0 ? 0 : x[token * channels + channel])
  const y = Float64Array.from(x, (_, at) => {
    const [token, channel] = [Math.floor(at / channels), at % channels]
    let sum = bias?.[channel] ?? 0
    for (let j = 0; j < size; j++) {
      sum += weight[channel * size + j] * input(token - size + 1 + j, channel)
    }
    return silu(sum)
  })
  const state = Float64Array.from({ length: channels * (size - 1) }, (_, at) =>
    input(tokens - (size - 1) + (at % (size - 1)), Math.floor(at / (size - 1))),
  )
  return { y, state }
}

// A softmax model of the same shape as a given one: what a token would add to its cache.
import type { ModelConfig } from './config.ts'

/** Bytes of an element of a cache in float16, as servers of softmax models keep it. */
const CACHE_ITEM_BYTES = 2

/** Heads and sizes of a softmax model that is like a given one in all but its mixers. */
export interface TwinShape {
  layers: number
  heads: number
  kvHeads: number
  headDim: number
  /** Bytes that a token adds to the cache: keys and values of all layers. */
  bytesPerToken: number
}

export function twinShape({ layers, hiddenSize }: ModelConfig): TwinShape {
  const { heads, kvHeads } = layers.find(({ kind }) => kind !== 'softmax') ?? layers[0]
  const headDim = hiddenSize / heads
  const bytesPerToken = 2 * layers.length * kvHeads * headDim * CACHE_ITEM_BYTES
  return { layers: layers.length, heads, kvHeads, headDim, bytesPerToken }
}

// A softmax model of the same shape as a given one: what its cache takes, and what its steps cost in
// the kernels that serve the softmax layers of hybrids.
import { join } from 'node:path'
import { type ModelConfig, parseModelConfig } from '../../models/config.ts'
import { TempFolder } from '../helpers/temp-folder.ts'
import { type BenchOptions, loadForBench } from './load.ts'
import { type LongOptions, type LongRow, measureLong } from './long.ts'
import { type Json, writeRandomCheckpoint } from './random-checkpoint.ts'

/** Bytes of an element of a cache in float16, as servers of softmax models keep it. */
const CACHE_ITEM_BYTES = 2
/** Room behind the last position for the timed tokens. */
const TIMED_TOKENS = 128

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
  const [{ heads, kvHeads }] = layers
  const headDim = hiddenSize / heads
  const bytesPerToken = 2 * layers.length * kvHeads * headDim * CACHE_ITEM_BYTES
  return { layers: layers.length, heads, kvHeads, headDim, bytesPerToken }
}

/** Decodes with the twin, random weights and all; it reads each prompt anew. */
export async function measureTwin(
  options: BenchOptions,
  long: Pick<LongOptions, 'positions' | 'log'>,
): Promise<LongRow[]> {
  await using folder = await TempFolder.create()
  const config: Json = await Bun.file(join(options.folder, 'config.json')).json()
  const { layers, heads, kvHeads } = twinShape(
    parseModelConfig(config, join(options.folder, 'config.json')),
  )
  const attn = {
    layers: Array.from({ length: layers }, (_, layer) => layer),
    num_heads: heads,
    num_kv_heads: kvHeads,
  }
  await writeRandomCheckpoint(folder.path, { ...config, attn })
  await using bench = await loadForBench({
    ...options,
    folder: folder.path,
    randomWeights: false,
    maxNumSeqs: 1,
    maxModelLen: Math.max(...long.positions) + TIMED_TOKENS,
    // Each state would be as large as the slot.
    prefixCacheBytes: 0,
    prefixCacheHostBytes: 0,
  })
  return await measureLong(bench, { ...long, rounds: 1 })
}

// What the steps of a softmax model of the same shape cost, in the kernels that serve the softmax layers
// of hybrids.
import { join } from 'node:path'
import { parseModelConfig } from '../../models/config.ts'
import { twinShape } from '../../models/softmax-twin.ts'
import { TempFolder } from '../helpers/temp-folder.ts'
import { type BenchOptions, loadForBench } from './load.ts'
import { type LongOptions, type LongRow, measureLong } from './long.ts'
import { type Json, writeRandomCheckpoint } from './random-checkpoint.ts'

/** Room behind the last position for the timed tokens. */
const TIMED_TOKENS = 128

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

// A model that is measured in seconds on any adapter, for the tests of the bench.
import { writeRandomCheckpoint } from './random-checkpoint.ts'
import { SHAPES } from './shapes.ts'

/** Half of a large weight file, so that there are shards. */
const SHARD_BYTES = 1.5e6

/** Writes it. */
export function writeTinyModel(folder: string, shape: 'gla-tiny' | 'gsa-tiny' = 'gla-tiny') {
  return writeRandomCheckpoint(folder, SHAPES[shape], SHARD_BYTES)
}

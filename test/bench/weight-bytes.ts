// Bytes of weights and states that a step of decoding cannot do without.
import type { ModelConfig } from '../../models/config.ts'
import type { LoadedModel } from '../../src/engine/load.ts'
import { matrixBytes, rowStride, sensitiveType } from '../../src/gpu/matrix.ts'

/** All weights and each sequence's state, read and written; of separate embeddings only some rows. */
export function decodeBytes(
  { hiddenSize, vocabSize, tiedEmbeddings }: ModelConfig,
  { decoder, plan, tuning }: Pick<LoadedModel, 'decoder' | 'plan' | 'tuning'>,
  sequences: number,
): number {
  const type = sensitiveType(tuning.weights)
  const stride = rowStride(hiddenSize, type)
  const table = matrixBytes({ rows: vocabSize, columns: hiddenSize, stride, type })
  const states = 2 * sequences * plan.slotBytes
  return decoder.weightBytes - (tiedEmbeddings ? 0 : table) + states
}

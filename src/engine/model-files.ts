// What a checkpoint says, read and checked before any GPU is opened.

import { parseModelConfig } from '../../models/config.ts'
import { type StateLayout, stateLayout } from '../../models/state.ts'
import { type ModelTensors, mapTensors, randomTensors } from '../../models/tensors.ts'
import { CheckpointError } from '../errors.ts'
import { type Checkpoint, openCheckpoint } from '../loader/checkpoint.ts'
import { Tokenizer } from '../text/tokenizer.ts'

export interface ModelFileOptions {
  /** Checkpoint folder. */
  folder: string
  /** Random numbers in place of the checkpoint's weights, which need not be there. */
  randomWeights?: boolean
  /** Bound on prompt and completion together; undefined: the model's, if it has one. */
  maxModelLen: number | undefined
}

/** Disposing of it closes the weight files. */
export interface ModelFiles extends AsyncDisposable {
  checkpoint: Checkpoint
  /** Where the weights are, not yet read. */
  tensors: ModelTensors
  tokenizer: Tokenizer
  layout: StateLayout
  /** Most tokens of prompt and completion together; undefined: no bound. */
  maxLength: number | undefined
}

/** Tokens that a hybrid takes where neither its configuration nor a flag says so. */
const DEFAULT_HYBRID_LENGTH = 2048

/** Throws CheckpointError naming the file at fault; nothing stays open then. */
export async function openModelFiles(options: ModelFileOptions): Promise<ModelFiles> {
  const withoutWeights = options.randomWeights
  await using opened = new AsyncDisposableStack()
  const checkpoint = opened.use(await openCheckpoint(options.folder, { withoutWeights }))
  const { configFile, tokenizerFile } = checkpoint
  const modelConfig = parseModelConfig(checkpoint.config, configFile)
  const tensors = withoutWeights
    ? randomTensors(modelConfig, configFile)
    : mapTensors(modelConfig, checkpoint)
  const { config } = tensors
  if (tokenizerFile === undefined) {
    throw new CheckpointError(options.folder, 'has no tokenizer.json')
  }
  const tokenizer = await Tokenizer.open(tokenizerFile, checkpoint.tokenizerConfigFile)
  if (tokenizer.vocabSize > config.vocabSize) {
    throw new CheckpointError(
      tokenizerFile,
      `has ids up to ${tokenizer.vocabSize - 1}, the model's vocab_size is ${config.vocabSize}`,
    )
  }
  const wantedLength = options.maxModelLen ?? config.maxPositions ?? DEFAULT_HYBRID_LENGTH
  const layout = stateLayout(config, wantedLength)
  const files = opened.move()
  return {
    ...{ checkpoint, tensors, tokenizer, layout },
    maxLength: layout.maxLength ?? options.maxModelLen,
    [Symbol.asyncDispose]: () => files.disposeAsync(),
  }
}

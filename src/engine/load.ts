// From a checkpoint folder to a running engine: device, memory plan, weights, warm-up.
import { parseModelConfig } from '../../models/config.ts'
import { type Decoder, loadDecoder } from '../../models/decoder.ts'
import { type StateLayout, stateLayout } from '../../models/state.ts'
import { mapTensors } from '../../models/tensors.ts'
import { CheckpointError, ConfigError } from '../errors.ts'
import { Buffers } from '../gpu/buffers.ts'
import { type Gpu, openGpu } from '../gpu/device.ts'
import { Pipelines } from '../gpu/pipelines.ts'
import { CHUNK, type StepLimits } from '../gpu/step.ts'
import { chooseTuning, type Tuning } from '../gpu/tuning.ts'
import { type Checkpoint, openCheckpoint } from '../loader/checkpoint.ts'
import { ITEM_BYTES } from '../loader/convert.ts'
import type { GenerationConfig } from '../loader/generation-config.ts'
import { elementCount } from '../loader/tensor-source.ts'
import { Tokenizer } from '../text/tokenizer.ts'
import { GlazeEngine } from './engine.ts'
import { Runner } from './runner.ts'

export interface LoadOptions {
  /** Checkpoint folder. */
  folder: string
  /** --adapter */
  adapter: string
  /** --kernels: auto, subgroup or plain */
  kernels: string
  /** --dtype: auto, float16 or float32 */
  dtype: string
  /** Slots wanted; undefined: up to 64, as many as the state memory holds. */
  maxNumSeqs: number | undefined
  /** Most prompt tokens in a step, a multiple of 64. */
  maxNumBatchedTokens: number
  /** Bound on prompt and completion together; undefined: the model's, if it has one. */
  maxModelLen: number | undefined
  /** Bytes for all slots; undefined: chosen by the kind of adapter. */
  stateMemory: number | undefined
  /** Keep Dawn's validation on; tests do. */
  checked?: boolean
  /** Called while weights are uploaded. */
  onProgress?: (doneBytes: number, totalBytes: number) => void
  onError?: (message: string, error: unknown) => void
}

/** Bytes and counts that are fixed once a model is loaded. */
export interface MemoryPlan {
  weightBytes: number
  activationBytes: number
  slotBytes: number
  slots: number
  limits: StepLimits
}

export interface LoadedModel extends AsyncDisposable {
  engine: GlazeEngine
  gpu: Gpu
  buffers: Buffers
  decoder: Decoder
  tokenizer: Tokenizer
  tuning: Tuning
  generationConfig: GenerationConfig
  modelType: string
  plan: MemoryPlan
  maxLength: number | undefined
  /** Time of the warm-up steps. */
  warmUpMs: number
}

const GiB = 2 ** 30
const DEFAULT_SLOTS = 64
/** Tokens that a hybrid takes where neither its configuration nor a flag says so. */
const DEFAULT_HYBRID_LENGTH = 2048
/** Host and GPU memory for the logits of scored prompt tokens. */
const SCORED_LOGIT_BYTES = 2 ** 26

/**
 * Loads a model and makes it ready to serve.
 * @throws OperatorError (CheckpointError, ConfigError, DeviceError) with what the operator can do
 */
export async function loadModel(options: LoadOptions): Promise<LoadedModel> {
  await using checkpoint = await openCheckpoint(options.folder)
  const tensors = mapTensors(parseModelConfig(checkpoint.config, checkpoint.configFile), checkpoint)
  const { config } = tensors
  const { tokenizerFile } = checkpoint
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
  const maxLength = layout.maxLength ?? options.maxModelLen

  const gpu = await openGpu({ adapter: options.adapter, checked: options.checked })
  const buffers = new Buffers(gpu.device, gpu.limits.maxBufferSize)
  try {
    const tuning = chooseTuning(gpu, { kernels: options.kernels, dtype: options.dtype })
    const slots = countSlots(gpu, layout, options)
    const limits = stepLimits(slots, config.vocabSize, options.maxNumBatchedTokens)
    const totalBytes = storedBytes(checkpoint)
    const decoder = await loadDecoder(tensors, {
      buffers,
      pipelines: new Pipelines(gpu.device),
      tuning,
      limits,
      layout,
      slots,
      onProgress: (done) => options.onProgress?.(done, totalBytes),
    })
    const runner = await Runner.create(decoder, buffers)
    const warmUpStart = performance.now()
    await warmUp(runner)
    const warmUpMs = performance.now() - warmUpStart
    const { generationConfig } = checkpoint
    const engine = new GlazeEngine(runner, {
      tokenizer,
      eosTokenIds: generationConfig.eosTokenIds,
      maxLength,
      promptTokens: options.maxNumBatchedTokens,
      scoredTokens: limits.logitRows - slots,
      onError: options.onError,
    })
    const slotBytes = layout.slotFloats * 4
    return {
      engine,
      gpu,
      buffers,
      decoder,
      tokenizer,
      tuning,
      generationConfig,
      modelType: config.modelType,
      plan: {
        weightBytes: decoder.weightBytes,
        activationBytes: buffers.bytes - decoder.weightBytes - slots * slotBytes,
        slotBytes,
        slots,
        limits,
      },
      maxLength,
      warmUpMs,
      [Symbol.asyncDispose]: async () => {
        await engine.close()
        buffers[Symbol.dispose]()
        gpu.destroy()
      },
    }
  } catch (error) {
    buffers[Symbol.dispose]()
    gpu.destroy()
    throw error
  }
}

function storedBytes(checkpoint: Checkpoint): number {
  let sum = 0
  for (const { shape, dtype } of checkpoint.tensors.values()) {
    sum += elementCount(shape) * ITEM_BYTES[dtype]
  }
  return sum
}

/** As many slots as asked for or as memory allows. */
function countSlots(gpu: Gpu, layout: StateLayout, options: LoadOptions): number {
  const slotBytes = layout.slotFloats * 4
  const budget = options.stateMemory ?? (gpu.adapter.software ? GiB : 4 * GiB)
  const most = Math.floor(
    Math.min(budget, gpu.limits.maxStorageBufferBindingSize, gpu.limits.maxBufferSize) / slotBytes,
  )
  const wanted = options.maxNumSeqs ?? Math.min(DEFAULT_SLOTS, Math.max(most, 1))
  if (wanted > most) {
    const found = `${wanted} slots of ${slotBytes} bytes`
    throw new ConfigError(
      `--max-num-seqs: ${found} need ${wanted * slotBytes} bytes; ${most} fit ` +
        `(--state-memory ${budget}, the adapter binds ${gpu.limits.maxStorageBufferBindingSize})`,
    )
  }
  return wanted
}

/** Sizes of a step: a decode row for every slot and a budget of prompt tokens beside them. */
function stepLimits(slots: number, vocabSize: number, promptTokens: number): StepLimits {
  const affordable = Math.floor(SCORED_LOGIT_BYTES / (4 * vocabSize * CHUNK)) * CHUNK
  const scored = Math.min(Math.max(affordable, CHUNK), promptTokens)
  return { tokens: promptTokens + slots, segments: slots, logitRows: slots + scored }
}

/** Runs every kernel once, so that the first request does not pay for the driver's compiler. */
async function warmUp(runner: Runner): Promise<void> {
  const slots = runner.decoder.slots
  const tokens = (count: number) => new Array<number>(count).fill(0)
  const run = (segment: { tokens: number[]; decode: boolean }) =>
    runner.run([{ slot: 0, position: 0, logits: 'last', ...segment }], [0], checkFinite)
  await run({ tokens: tokens(CHUNK + 1), decode: false })
  await run({ tokens: tokens(1), decode: true })
  for (let rows = 2; rows <= Math.min(slots, 8); rows *= 2) {
    const segments = tokens(rows).map((id, slot) => ({
      slot,
      tokens: [id],
      position: 0,
      logits: 'last' as const,
      decode: true,
    }))
    await runner.run(
      segments,
      segments.map((segment) => segment.slot),
      checkFinite,
    )
  }
}

function checkFinite(logits: Float32Array): void {
  if (!logits.every(Number.isFinite)) {
    throw new CheckpointError('weights', 'the model computes NaN or infinite logits')
  }
}

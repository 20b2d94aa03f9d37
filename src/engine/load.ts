// From a checkpoint folder to a running engine: device, memory plan, weights, warm-up.
import type { ModelConfig } from '../../models/config.ts'
import { type Decoder, loadDecoder } from '../../models/decoder.ts'
import { twinShape } from '../../models/softmax-twin.ts'
import { cacheBytes } from '../../models/state.ts'
import { usedBytes } from '../../models/tensors.ts'
import { version } from '../../package.json'
import { DeviceError } from '../errors.ts'
import { autotune } from '../gpu/autotune.ts'
import { Buffers } from '../gpu/buffers.ts'
import { type Gpu, openGpu } from '../gpu/device.ts'
import { Pipelines } from '../gpu/pipelines.ts'
import type { StepLimits } from '../gpu/step.ts'
import { chooseTuning, type Tuning } from '../gpu/tuning.ts'
import { loadTuning, saveTuning } from '../gpu/tuning-cache.ts'
import type { GenerationConfig } from '../loader/generation-config.ts'
import type { Tokenizer } from '../text/tokenizer.ts'
import { PrefixAdmission } from './admission.ts'
import { type EngineOptions, GlazeEngine } from './engine.ts'
import { type MemoryOptions, planMemory, planPrefixCache } from './memory-plan.ts'
import { type ModelFileOptions, openModelFiles } from './model-files.ts'
import { PrefixCache } from './prefix-cache.ts'
import { Runner, type RunnerOptions } from './runner.ts'
import { SnapshotMemory } from './snapshot-memory.ts'
import { StateCopies } from './state-copies.ts'
import { warmUp } from './warm-up.ts'

export interface LoadOptions
  extends MemoryOptions,
    ModelFileOptions,
    Pick<
      EngineOptions,
      'stepsInFlight' | 'queueTimeoutMs' | 'requestTimeoutMs' | 'onError' | 'onEvent' | 'observer'
    >,
    Pick<RunnerOptions, 'onTime'> {
  /** --adapter */
  adapter: string
  /** --kernels: auto, subgroup or plain */
  kernels: string
  /** --dtype: auto, float16 or float32 */
  dtype: string
  /** --quantization: none, int8 or int4; undefined is none. */
  quantization?: string
  /** --batch-invariant; undefined: where it costs little. */
  batchInvariant: boolean | undefined
  /** Measure which kernels are the fastest on an unknown GPU, and keep the result. */
  autotune?: boolean
  /** Told once if the measurement begins. */
  onAutotune?: () => void
  /** Keep Dawn's validation on; tests do. */
  checked?: boolean
  /** Called while weights are uploaded. */
  onProgress?: (doneBytes: number, totalBytes: number) => void
}

/** Bytes and counts that are fixed once a model is loaded. */
export interface MemoryPlan {
  weightBytes: number
  workBytes: number
  slotBytes: number
  slots: number
  /** Of slotBytes: caches of softmax layers, which --max-model-len sets. */
  cacheBytes: number
  /** What each token would add to the cache of a softmax model of this shape. */
  softmaxTokenBytes: number
  /** Prefix states that fit on the GPU and in host memory, and the bytes of each. */
  snapshots: number
  hostSnapshots: number
  snapshotBytes: number
  limits: StepLimits
}

export interface LoadedModel extends AsyncDisposable {
  engine: GlazeEngine
  runner: Runner
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

/**
 * Loads a model and makes it ready to serve.
 * @throws OperatorError (CheckpointError, ConfigError, DeviceError) with what the operator can do
 */
export async function loadModel(options: LoadOptions): Promise<LoadedModel> {
  await using files = await openModelFiles(options)
  const { checkpoint, tensors, tokenizer, layout, maxLength } = files
  const { config } = tensors

  const gpu = await openGpu({
    adapter: options.adapter,
    checked: options.checked,
    timestamps: options.onTime !== undefined,
  })
  const buffers = new Buffers(gpu.device, gpu.limits.maxBindingSize)
  const lost = gpu.lost.then((reason) => {
    throw new DeviceError(`the GPU device was lost while loading: ${reason}`)
  })
  // Handled by the race below, and no concern of anyone once the model runs.
  lost.catch(() => {})
  try {
    const chosen = chooseTuning(gpu, options)
    const tuning = options.autotune
      ? await Promise.race([tuneProducts(gpu, chosen, config, options), lost])
      : chosen
    const { slots, limits } = planMemory(gpu, config, layout, options)
    const totalBytes = usedBytes(tensors)
    const load = async () => {
      const pipelines = new Pipelines(gpu.device)
      const decoder = await loadDecoder(tensors, {
        buffers,
        pipelines,
        tuning,
        limits,
        layout,
        slots,
        onProgress: (done) => options.onProgress?.(done, totalBytes),
      })
      const { onTime } = options
      const runner = await Runner.create({ decoder, buffers, gpu, pipelines, tuning, onTime })
      const memory = await SnapshotMemory.create(buffers, gpu.release, {
        stateBytes: layout.slotFloats * 4,
        logitsBytes: config.vocabSize * 4,
        ...planPrefixCache(gpu, options),
      })
      const copies = await StateCopies.create(buffers, decoder, memory)
      const start = performance.now()
      await warmUp(runner, copies, checkpoint.weightsFile)
      return { decoder, runner, memory, copies, warmUpMs: performance.now() - start }
    }
    // Nothing that waits for a lost device ever comes back.
    const { decoder, runner, memory, copies, warmUpMs } = await Promise.race([load(), lost])
    const { generationConfig } = checkpoint
    const cache = new PrefixCache({ exact: tuning.invariant, memory })
    const engine = new GlazeEngine(runner, new PrefixAdmission(cache, copies, runner.tables), {
      ...options,
      tokenizer,
      eosTokenIds: generationConfig.eosTokenIds,
      maxLength,
      promptTokens: options.maxNumBatchedTokens,
      scoredTokens: limits.logitRows - slots,
    })
    const slotBytes = layout.slotFloats * 4
    return {
      engine,
      runner,
      gpu,
      buffers,
      decoder,
      tokenizer,
      tuning,
      generationConfig,
      modelType: config.modelType,
      plan: {
        weightBytes: decoder.weightBytes,
        workBytes:
          buffers.bytes - decoder.weightBytes - slots * slotBytes - memory.rows * memory.rowBytes,
        slotBytes,
        slots,
        cacheBytes: cacheBytes(layout),
        softmaxTokenBytes: twinShape(config).bytesPerToken,
        snapshots: memory.rows,
        hostSnapshots: memory.hostRows,
        snapshotBytes: memory.rowBytes,
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

/** What an earlier start found for this GPU, or a new measurement. CPUs are not worth one. */
async function tuneProducts(
  gpu: Gpu,
  tuning: Tuning,
  { hiddenSize, innerSize }: ModelConfig,
  { onAutotune }: LoadOptions,
): Promise<Tuning> {
  if (tuning.variant === 'plain' || gpu.adapter.software) return tuning
  const { vendor, architecture, name } = gpu.adapter
  const adapter = [vendor, architecture, name].join(' ')
  const key = { adapter, version, weights: tuning.weights, hiddenSize, innerSize }
  const known = await loadTuning(key)
  if (known) return { ...tuning, products: known }
  onAutotune?.()
  const products = await autotune(gpu, tuning, { hiddenSize, innerSize })
  await saveTuning(key, products)
  return { ...tuning, products }
}

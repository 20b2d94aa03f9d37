// How many state slots there are and how much a step may hold: decided once, before loading.
import type { ModelConfig } from '../../models/config.ts'
import type { StateLayout } from '../../models/state.ts'
import { ConfigError } from '../errors.ts'
import type { Gpu } from '../gpu/device.ts'
import { CHUNK, type StepLimits } from '../gpu/step.ts'

export interface MemoryOptions {
  /** Slots wanted; undefined: up to 64, as many as the state memory holds. */
  maxNumSeqs: number | undefined
  /** Most prompt tokens in a step, a multiple of 64. */
  maxNumBatchedTokens: number
  /** Bytes for all slots; undefined: chosen by the kind of adapter. */
  stateMemory: number | undefined
  /** Bytes for prefix states on the GPU, and behind them in host memory; undefined: likewise. */
  prefixCacheBytes: number | undefined
  prefixCacheHostBytes: number | undefined
}

const GiB = 2 ** 30
const MiB = 2 ** 20
const DEFAULT_SLOTS = 64
/** Host and GPU memory for the logits of scored prompt tokens. */
const SCORED_LOGIT_BYTES = 2 ** 26

/**
 * Slots and step limits of a model.
 * @throws ConfigError with what fits and which option changes it
 */
export function planMemory(
  gpu: Pick<Gpu, 'adapter' | 'limits'>,
  config: ModelConfig,
  layout: StateLayout,
  options: MemoryOptions,
): { slots: number; limits: StepLimits } {
  checkRotaryTables(gpu, config, layout)
  const slots = countSlots(gpu, layout, options)
  return { slots, limits: stepLimits(slots, config.vocabSize, options.maxNumBatchedTokens) }
}

/**
 * Memory for prefix states. A software adapter's memory is the host's, so a second tier there would
 * only move states about.
 */
export function planPrefixCache(
  { adapter }: Pick<Gpu, 'adapter'>,
  { prefixCacheBytes, prefixCacheHostBytes }: MemoryOptions,
): { gpuBytes: number; hostBytes: number } {
  return {
    gpuBytes: prefixCacheBytes ?? (adapter.software ? 64 * MiB : GiB),
    hostBytes: prefixCacheHostBytes ?? (adapter.software ? 0 : 2 * GiB),
  }
}

/** As many slots as asked for or as memory allows. */
function countSlots(
  { adapter, limits }: Pick<Gpu, 'adapter' | 'limits'>,
  { slotFloats, maxLength }: StateLayout,
  { maxNumSeqs, stateMemory }: MemoryOptions,
): number {
  const slotBytes = slotFloats * 4
  const budget = stateMemory ?? (adapter.software ? GiB : 4 * GiB)
  const room = Math.min(budget, limits.maxBindingSize)
  const most = Math.floor(room / slotBytes)
  const why = `--state-memory is ${budget}, the adapter binds ${limits.maxBindingSize} at once`
  if (most === 0) {
    const shorter = maxLength === undefined ? '' : `lower --max-model-len (now ${maxLength}) or `
    throw new ConfigError(
      `one state slot takes ${slotBytes} bytes and ${room} are there (${why}); ` +
        `${shorter}raise --state-memory`,
    )
  }
  const wanted = maxNumSeqs ?? Math.min(DEFAULT_SLOTS, most)
  if (wanted > most) {
    throw new ConfigError(
      `--max-num-seqs: ${wanted} slots of ${slotBytes} bytes need ${wanted * slotBytes} bytes; ` +
        `${most} fit (${why})`,
    )
  }
  return wanted
}

/** Softmax layers look their angles up in a table of all positions. */
function checkRotaryTables(
  { limits }: Pick<Gpu, 'limits'>,
  config: ModelConfig,
  { maxLength }: StateLayout,
): void {
  for (const mixer of config.layers) {
    if (mixer.kind !== 'softmax' || maxLength === undefined) continue
    const bytes = maxLength * mixer.headDim * 4
    if (bytes <= limits.maxBindingSize) continue
    throw new ConfigError(
      `--max-model-len ${maxLength}: the rotary table takes ${bytes} bytes, ` +
        `the adapter binds ${limits.maxBindingSize} at once; lower it`,
    )
  }
}

/** Sizes of a step: a decode row for every slot and a budget of prompt tokens beside them. */
function stepLimits(slots: number, vocabSize: number, promptTokens: number): StepLimits {
  const affordable = Math.floor(SCORED_LOGIT_BYTES / (4 * vocabSize * CHUNK)) * CHUNK
  const scored = Math.min(Math.max(affordable, CHUNK), promptTokens)
  return { tokens: promptTokens + slots, segments: slots, logitRows: slots + scored }
}

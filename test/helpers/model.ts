// A decoder on the test device, fed by hand: for comparing logits and states with goldens.
import { join } from 'node:path'
import { type LoadOptions, loadModel } from '../../src/engine/load.ts'
import type { Segment } from '../../src/gpu/step.ts'
import type { Variant } from '../../src/gpu/tuning.ts'
import { openTestDecoder } from './decoder.ts'
import type { openTestGpu } from './gpu.ts'

export const fixtures = join(import.meta.dir, '../fixtures/golden')
export const shipped = join(import.meta.dir, '../../models/checkpoints')

/** Folders of trained checkpoints with goldens. */
export const trained = ['gla', 'gsa', 'gla-hybrid', 'mistral'].map((name) =>
  join(shipped, `tales-${name}-5m`),
)

const SLOTS = 4

/** Loads a checkpoint with float32 weights. */
export function openTestModel(
  gpu: Awaited<ReturnType<typeof openTestGpu>>,
  folder: string,
  variant: Variant,
  maxLength = 2048,
) {
  const tuning = gpu.tuning(variant, 'f32')
  const limits = { tokens: 512, segments: SLOTS, logitRows: 512 }
  return openTestDecoder(gpu, folder, { tuning, limits, slots: SLOTS, maxLength })
}

export type TestModel = Awaited<ReturnType<typeof openTestModel>>

/** A model with its engine, as `glaze serve` loads it, on the test adapter. */
export function loadTestModel(
  folder: string,
  slots: number,
  promptTokens: number,
  more: Partial<LoadOptions> = {},
) {
  return loadModel({
    folder,
    adapter: process.env.GLAZE_TEST_ADAPTER || 'auto',
    kernels: 'auto',
    dtype: 'auto',
    batchInvariant: undefined,
    maxNumSeqs: slots,
    maxNumBatchedTokens: promptTokens,
    maxModelLen: undefined,
    stateMemory: undefined,
    prefixCacheBytes: undefined,
    prefixCacheHostBytes: undefined,
    checked: true,
    ...more,
  })
}

/** A prompt slice with all its logits. */
export function slice(slot: number, tokens: readonly number[], position: number): Segment {
  return { slot, tokens, position, logits: 'all', decode: false }
}

/** One token through the recurrent kernels. */
export function decodeRow(slot: number, token: number, position: number): Segment {
  return { slot, tokens: [token], position, logits: 'all', decode: true }
}

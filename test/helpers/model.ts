// A decoder on the test device, fed by hand: for comparing logits and states with goldens.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseModelConfig } from '../../models/config.ts'
import { loadDecoder } from '../../models/decoder.ts'
import { stateLayout } from '../../models/state.ts'
import { mapTensors } from '../../models/tensors.ts'
import { type LoadOptions, loadModel } from '../../src/engine/load.ts'
import type { Segment } from '../../src/gpu/step.ts'
import type { Variant } from '../../src/gpu/tuning.ts'
import { openCheckpoint } from '../../src/loader/checkpoint.ts'
import type { openTestGpu } from './gpu.ts'

export const fixtures = join(import.meta.dir, '../fixtures/golden')
export const shipped = join(import.meta.dir, '../../models/checkpoints')

/** Folders of trained checkpoints with goldens; the hybrid is not part of every clone. */
export const trained = [
  join(shipped, 'tales-gla-5m'),
  join(shipped, 'tales-gsa-5m'),
  join(import.meta.dir, '../../../shared/models/tales-gla-hybrid-5m'),
].filter((folder) => existsSync(join(folder, 'golden.json')))

const SLOTS = 4

/** Loads a checkpoint with float32 weights. */
export async function openTestModel(
  gpu: Awaited<ReturnType<typeof openTestGpu>>,
  folder: string,
  variant: Variant,
  maxLength = 2048,
) {
  await using checkpoint = await openCheckpoint(folder)
  const config = parseModelConfig(checkpoint.config, checkpoint.configFile)
  const tensors = mapTensors(config, checkpoint)
  const layout = stateLayout(tensors.config, maxLength)
  const decoder = await loadDecoder(tensors, {
    buffers: gpu.buffers,
    pipelines: gpu.pipelines,
    tuning: gpu.tuning(variant, 'f32'),
    limits: { tokens: 512, segments: SLOTS, logitRows: 512 },
    layout,
    slots: SLOTS,
  })
  const { device } = gpu.gpu
  return {
    config: tensors.config,
    layout,
    decoder,
    /** Clears the fresh slots, runs a step and returns its logits, [rows, vocab]. */
    async run(segments: Segment[], fresh: number[] = []): Promise<Float32Array> {
      const counts = decoder.step.write(device.queue, segments)
      const encoder = device.createCommandEncoder()
      const slotBytes = layout.slotFloats * 4
      for (const slot of fresh) encoder.clearBuffer(decoder.states, slot * slotBytes, slotBytes)
      const pass = encoder.beginComputePass()
      decoder.program.encode(pass, counts)
      pass.end()
      device.queue.submit([encoder.finish()])
      const size = counts.logitRows * decoder.vocabSize * 4
      if (size === 0) return new Float32Array()
      return gpu.buffers.readFloats({ buffer: decoder.logits, offset: 0, size })
    },
    /** A slot's state: [slotFloats]. */
    state: (slot: number) =>
      gpu.buffers.readFloats({
        buffer: decoder.states,
        offset: slot * layout.slotFloats * 4,
        size: layout.slotFloats * 4,
      }),
  }
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

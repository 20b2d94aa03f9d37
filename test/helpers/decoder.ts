// A decoder on the test device without an engine: steps are given by hand.
import { parseModelConfig } from '../../models/config.ts'
import { loadDecoder } from '../../models/decoder.ts'
import { stateLayout } from '../../models/state.ts'
import { mapTensors } from '../../models/tensors.ts'
import type { Segment, StepLimits } from '../../src/gpu/step.ts'
import type { Tuning } from '../../src/gpu/tuning.ts'
import { openCheckpoint } from '../../src/loader/checkpoint.ts'
import type { openTestGpu } from './gpu.ts'

export interface TestDecoderOptions {
  tuning: Tuning
  limits: StepLimits
  slots: number
  /** Tokens that softmax layers without a window can hold. */
  maxLength: number
}

export type TestDecoder = Awaited<ReturnType<typeof openTestDecoder>>

/** Loads a checkpoint. */
export async function openTestDecoder(
  gpu: Awaited<ReturnType<typeof openTestGpu>>,
  folder: string,
  { tuning, limits, slots, maxLength }: TestDecoderOptions,
) {
  const { buffers, pipelines } = gpu
  const { device } = gpu.gpu
  await using checkpoint = await openCheckpoint(folder)
  const tensors = mapTensors(parseModelConfig(checkpoint.config, checkpoint.configFile), checkpoint)
  const layout = stateLayout(tensors.config, maxLength)
  const decoder = await loadDecoder(tensors, { buffers, pipelines, tuning, limits, layout, slots })
  const slotBytes = layout.slotFloats * 4
  return {
    config: tensors.config,
    layout,
    decoder,
    vocabSize: decoder.vocabSize,
    /** Runs a step, on cleared states where sequences begin, and returns logits [rows, vocab]. */
    async run(segments: readonly Segment[]): Promise<Float32Array> {
      const counts = decoder.step.write(device.queue, segments)
      const encoder = device.createCommandEncoder()
      for (const { slot, position } of segments) {
        if (position === 0) encoder.clearBuffer(decoder.states, slot * slotBytes, slotBytes)
      }
      const pass = encoder.beginComputePass()
      decoder.program.encode(pass, counts)
      pass.end()
      device.queue.submit([encoder.finish()])
      if (counts.logitRows === 0) return new Float32Array()
      const size = counts.logitRows * decoder.vocabSize * 4
      return buffers.readFloats({ buffer: decoder.logits, size })
    },
    /** A slot's state: [slotFloats]. */
    state: (slot: number) =>
      buffers.readFloats({ buffer: decoder.states, offset: slot * slotBytes, size: slotBytes }),
  }
}

// Runs steps on the GPU: upload the work list, encode, submit, read the logits back.
import type { Decoder } from '../../models/decoder.ts'
import { type Buffers, MAP_MODE_READ, Usage } from '../gpu/buffers.ts'
import type { Segment } from '../gpu/step.ts'

export class Runner {
  private constructor(
    readonly decoder: Decoder,
    readonly device: GPUDevice,
    /** [logitRows, vocabSize] f32 on the host's side. */
    readonly readback: GPUBuffer,
  ) {}

  static async create(decoder: Decoder, buffers: Buffers): Promise<Runner> {
    const { limits } = decoder.step
    const bytes = limits.logitRows * decoder.vocabSize * 4
    const usage = Usage.MAP_READ | Usage.COPY_DST
    return new Runner(decoder, buffers.device, await buffers.create('readback', bytes, usage))
  }

  /**
   * Runs one step and waits for it.
   * @param fresh slots whose state is cleared first
   * @param use gets the logits [rows, vocabSize] in segment order; valid only while it runs
   */
  async run<T>(
    segments: readonly Segment[],
    fresh: readonly number[],
    use: (logits: Float32Array) => T,
  ): Promise<T> {
    const { program, step, logits, states, layout, vocabSize } = this.decoder
    const { device, readback } = this
    const counts = step.write(device.queue, segments)
    const encoder = device.createCommandEncoder()
    const slotBytes = layout.slotFloats * 4
    for (const slot of fresh) encoder.clearBuffer(states, slot * slotBytes, slotBytes)
    const pass = encoder.beginComputePass()
    program.encode(pass, counts)
    pass.end()
    // A step without logits still maps one word, to know when it is done.
    const bytes = Math.max(counts.logitRows * vocabSize * 4, 4)
    encoder.copyBufferToBuffer(logits, 0, readback, 0, bytes)
    device.queue.submit([encoder.finish()])
    await readback.mapAsync(MAP_MODE_READ, 0, bytes)
    try {
      const rows = counts.logitRows * vocabSize
      return use(new Float32Array(readback.getMappedRange(0, bytes), 0, rows))
    } finally {
      readback.unmap()
    }
  }
}

// Runs steps on the GPU: upload the work list, encode, submit, read the logits back.
import type { Decoder } from '../../models/decoder.ts'
import { DeviceError } from '../errors.ts'
import { type Buffers, MAP_MODE_READ, Usage } from '../gpu/buffers.ts'
import type { Gpu } from '../gpu/device.ts'
import type { Segment } from '../gpu/step.ts'

export class Runner {
  /** Fails the step that waits; a map that is asked for after the device is lost never settles. */
  #onLost: (error: DeviceError) => void = () => {}
  #lost: DeviceError | undefined

  private constructor(
    readonly decoder: Decoder,
    readonly gpu: Gpu,
    /** [logitRows, vocabSize] f32 on the host's side. */
    readonly readback: GPUBuffer,
  ) {
    gpu.lost.then((reason) => {
      this.#lost = new DeviceError(`the GPU device was lost: ${reason}`)
      this.#onLost(this.#lost)
    })
  }

  static async create(decoder: Decoder, buffers: Buffers, gpu: Gpu): Promise<Runner> {
    const { limits } = decoder.step
    const bytes = limits.logitRows * decoder.vocabSize * 4
    const usage = Usage.MAP_READ | Usage.COPY_DST
    return new Runner(decoder, gpu, await buffers.create('readback', bytes, usage))
  }

  /**
   * Runs one step and waits for it.
   * @throws DeviceError if the device is lost
   * @param fresh slots whose state is cleared first
   * @param use gets the logits [rows, vocabSize] in segment order; valid only while it runs
   */
  async run<T>(
    segments: readonly Segment[],
    fresh: readonly number[],
    use: (logits: Float32Array) => T,
  ): Promise<T> {
    const { program, step, logits, states, layout, vocabSize } = this.decoder
    const { readback } = this
    const { device, release } = this.gpu
    if (this.#lost) throw this.#lost
    const counts = step.write(device.queue, segments)
    const encoder = device.createCommandEncoder()
    const slotBytes = layout.slotFloats * 4
    for (const slot of fresh) encoder.clearBuffer(states, slot * slotBytes, slotBytes)
    const pass = encoder.beginComputePass()
    program.encode(pass, counts)
    pass.end()
    release.pass(pass)
    // A step without logits still maps one word, to know when it is done.
    const bytes = Math.max(counts.logitRows * vocabSize * 4, 4)
    encoder.copyBufferToBuffer(logits, 0, readback, 0, bytes)
    const commands = encoder.finish()
    device.queue.submit([commands])
    release.commands(commands)
    await this.#mapped(bytes)
    try {
      const rows = counts.logitRows * vocabSize
      return use(new Float32Array(readback.getMappedRange(0, bytes), 0, rows))
    } finally {
      readback.unmap()
    }
  }

  /** Waits for the step in flight. */
  #mapped(bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onLost = reject
      this.readback.mapAsync(MAP_MODE_READ, 0, bytes).then(() => resolve(), reject)
    })
  }
}

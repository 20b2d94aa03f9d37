// How long work takes on a device: by the device's own clock where it tells, else by the host's.
import { type Buffers, MAP_MODE_READ, Usage } from '../../src/gpu/buffers.ts'
import type { Gpu } from '../../src/gpu/device.ts'

/** Records work into an open compute pass. */
export type Encode = (pass: GPUComputePassEncoder) => void

/** An idle GPU clocks down; it is at full speed after this much work without a pause. */
export const CLOCKS_MS = 600
/** GPUBufferUsage.QUERY_RESOLVE */
const QUERY_RESOLVE = 0x200
/** Begin and end of a pass, in nanoseconds as u64. */
const QUERY_BYTES = 16
/** A pass lasts about so long, far above what begins and ends it. */
const PASS_MS = { timestamps: 10, hostClock: 100, software: 3 }
const MOST_REPEATS = 4096

/** Times passes one by one. */
export class GpuTimer implements Disposable {
  readonly #queries: GPUQuerySet | undefined
  readonly #resolved: GPUBuffer | undefined
  readonly #readback: GPUBuffer

  private constructor(
    readonly gpu: Gpu,
    readonly buffers: Buffers,
    parts: { queries?: GPUQuerySet; resolved?: GPUBuffer; readback: GPUBuffer },
  ) {
    this.#queries = parts.queries
    this.#resolved = parts.resolved
    this.#readback = parts.readback
  }

  /** @param timestamps whether the device was opened with them */
  static async create(gpu: Gpu, buffers: Buffers, timestamps: boolean): Promise<GpuTimer> {
    const usage = Usage.MAP_READ | Usage.COPY_DST
    const readback = await buffers.create('times read back', QUERY_BYTES, usage)
    if (!timestamps) return new GpuTimer(gpu, buffers, { readback })
    const queries = gpu.device.createQuerySet({ type: 'timestamp', count: 2 })
    const size = QUERY_BYTES
    const resolved = await buffers.create('times', size, QUERY_RESOLVE | Usage.COPY_SRC)
    return new GpuTimer(gpu, buffers, { queries, resolved, readback })
  }

  /** Milliseconds of one pass. */
  async pass(encode: Encode): Promise<number> {
    const { device, release } = this.gpu
    const encoder = device.createCommandEncoder()
    const queries = this.#queries
    const pass = encoder.beginComputePass(
      queries && {
        timestampWrites: {
          querySet: queries,
          beginningOfPassWriteIndex: 0,
          endOfPassWriteIndex: 1,
        },
      },
    )
    encode(pass)
    pass.end()
    release.pass(pass)
    if (queries && this.#resolved) {
      encoder.resolveQuerySet(queries, 0, 2, this.#resolved, 0)
      encoder.copyBufferToBuffer(this.#resolved, 0, this.#readback, 0, QUERY_BYTES)
    } else {
      // What is mapped must have been written behind the pass, or mapping waits for nothing.
      encoder.clearBuffer(this.#readback, 0, QUERY_BYTES)
    }
    const commands = encoder.finish()
    const start = performance.now()
    device.queue.submit([commands])
    release.commands(commands)
    await this.#readback.mapAsync(MAP_MODE_READ)
    const hostMs = performance.now() - start
    const [begin, end] = new BigUint64Array(this.#readback.getMappedRange().slice(0))
    this.#readback.unmap()
    return queries ? Number(end - begin) / 1e6 : hostMs
  }

  /**
   * Milliseconds of what `encode` does, for each of `rounds` passes that repeat it. A GPU is kept busy
   * with the same work before, until its clocks have risen.
   */
  async repeated(encode: Encode, rounds: number): Promise<number[]> {
    const { software } = this.gpu.adapter
    // The first time compiles.
    await this.pass(encode)
    const once = await this.pass(encode)
    const long = software ? 'software' : this.#queries ? 'timestamps' : 'hostClock'
    const wanted = Math.round(PASS_MS[long] / Math.max(once, 1e-3))
    const repeats = Math.max(1, Math.min(MOST_REPEATS, wanted))
    const all: Encode = (pass) => {
      for (let i = 0; i < repeats; i++) encode(pass)
    }
    if (!software) await this.keepBusy(all)
    const times: number[] = []
    for (let i = 0; i < rounds; i++) times.push((await this.pass(all)) / repeats)
    return times
  }

  /** Work without a pause for as long as clocks take to rise. */
  async keepBusy(encode: Encode): Promise<void> {
    const { device, release } = this.gpu
    const end = performance.now() + CLOCKS_MS
    while (performance.now() < end) {
      // Several at once: the device has the next while the host hears of the last.
      for (let i = 0; i < 4; i++) {
        const encoder = device.createCommandEncoder()
        const pass = encoder.beginComputePass()
        encode(pass)
        pass.end()
        release.pass(pass)
        const commands = encoder.finish()
        device.queue.submit([commands])
        release.commands(commands)
      }
      await this.pass(encode)
    }
  }

  [Symbol.dispose](): void {
    this.#queries?.destroy()
    if (this.#resolved) this.buffers.destroy(this.#resolved)
    this.buffers.destroy(this.#readback)
  }
}

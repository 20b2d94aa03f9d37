// Blocks on their way from the host to the GPU: files are read straight into memory that the GPU
// copies from, several blocks at a time.
import { type Buffers, MAP_MODE_WRITE, Usage } from './buffers.ts'
import { READ_PAST_END } from './repack.ts'

/**
 * Bytes of a block. A thread reads one from the page cache in half a millisecond; much smaller ones
 * would spend the time on calls, larger ones cost memory and software drivers clear it all.
 */
export const BLOCK_BYTES = 4 * 2 ** 20

/** Blocks on their way at once; Bun reads files on as many threads as there are cores. */
const LANES = 8

/** Place for one block at a time. */
export interface Lane {
  /** Mapped memory of BLOCK_BYTES, for the host to write; waits for the copy of the block before. */
  bytes(): Promise<Uint8Array>
  /** Where the block lies on the GPU. */
  block: GPUBuffer
  /** Uniforms of the kernels that read the block, and of those that write it. */
  job: GPUBuffer
  fillJob: GPUBuffer
  /** Records the copy of the first bytes of the mapped memory to `block`; they must not change then. */
  encodeCopy(encoder: GPUCommandEncoder, bytes: number): void
}

export class Staging {
  /** Lanes that nobody holds, mapped again. */
  readonly #idle: OpenLane[] = []
  #made = 0
  /** To be called, one for each, when a lane becomes idle or may be made. */
  readonly #waiting: (() => void)[] = []

  constructor(
    readonly buffers: Buffers,
    /** Bytes of each job buffer. */
    readonly jobBytes: number,
  ) {}

  /**
   * Runs `work` with a lane of its own, in turn. The commands that use the lane must be submitted when
   * it ends, and nothing may write to its memory any more.
   */
  async use<T>(work: (lane: Lane) => Promise<T>): Promise<T> {
    const lane = await this.#take()
    const giveBack = () => {
      this.#idle.push(lane)
      this.#waiting.shift()?.()
    }
    try {
      return await work(lane)
    } finally {
      // A lane that cannot be mapped tells its next holder why.
      lane.bytes().then(giveBack, giveBack)
    }
  }

  /** Waits for the blocks on their way and gives all memory back; it is taken again if need be. */
  async close(): Promise<void> {
    while (this.#idle.length < this.#made) await this.#change()
    this.#made = 0
    for (const lane of this.#idle.splice(0)) lane.destroy()
  }

  /** Few lanes are made where the GPU keeps up with single blocks, as for small models. */
  async #take(): Promise<OpenLane> {
    for (;;) {
      const lane = this.#idle.pop()
      if (lane !== undefined) return lane
      if (this.#made < LANES) return this.#make()
      await this.#change()
    }
  }

  async #make(): Promise<OpenLane> {
    this.#made++
    try {
      return await OpenLane.create(this.buffers, this.jobBytes)
    } catch (error) {
      this.#made--
      this.#waiting.shift()?.()
      throw error
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

class OpenLane implements Lane {
  #bytes: Promise<Uint8Array> | undefined

  private constructor(
    readonly buffers: Buffers,
    readonly staging: GPUBuffer,
    readonly block: GPUBuffer,
    readonly job: GPUBuffer,
    readonly fillJob: GPUBuffer,
  ) {}

  static async create(buffers: Buffers, jobBytes: number): Promise<OpenLane> {
    const uniform = Usage.UNIFORM | Usage.COPY_DST
    const made = await Promise.all([
      buffers.create('staging', BLOCK_BYTES, Usage.MAP_WRITE | Usage.COPY_SRC),
      buffers.create('block', BLOCK_BYTES + READ_PAST_END),
      buffers.create('job', jobBytes, uniform),
      buffers.create('fill job', jobBytes, uniform),
    ])
    return new OpenLane(buffers, ...made)
  }

  bytes(): Promise<Uint8Array> {
    this.#bytes ??= this.#map()
    return this.#bytes
  }

  encodeCopy(encoder: GPUCommandEncoder, bytes: number): void {
    this.staging.unmap()
    this.#bytes = undefined
    encoder.copyBufferToBuffer(this.staging, 0, this.block, 0, bytes)
  }

  destroy(): void {
    for (const buffer of [this.staging, this.block, this.job, this.fillJob]) {
      this.buffers.destroy(buffer)
    }
  }

  async #map(): Promise<Uint8Array> {
    await this.staging.mapAsync(MAP_MODE_WRITE)
    return new Uint8Array(this.staging.getMappedRange())
  }
}

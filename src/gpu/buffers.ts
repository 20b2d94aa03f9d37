// GPU memory: named buffers with byte accounting, uploads, and reads back.
import { DeviceError, invariant } from '../errors.ts'

/** GPUBufferUsage and GPUMapMode of the WebGPU specification; Bun has no such globals. */
export const Usage = {
  MAP_READ: 0x1,
  MAP_WRITE: 0x2,
  COPY_SRC: 0x4,
  COPY_DST: 0x8,
  UNIFORM: 0x40,
  STORAGE: 0x80,
} as const
export const MAP_MODE_READ = 1
export const MAP_MODE_WRITE = 2

/** Bindings start at multiples of this many bytes on every adapter. */
export const BINDING_ALIGNMENT = 256

/** A part of a buffer, in bytes; the whole of it where size is undefined. */
export interface BufferRange {
  buffer: GPUBuffer
  offset?: number
  size?: number
}

/** Rounds up to a multiple of a power of two or any other step. */
export function alignUp(value: number, step: number): number {
  return Math.ceil(value / step) * step
}

/** Every buffer of the process, so that memory can be planned, reported and given back. */
export class Buffers {
  readonly #owned = new Map<GPUBuffer, number>()

  constructor(
    readonly device: GPUDevice,
    /** Bytes that one buffer, bound whole, may have. */
    readonly maxSize: number,
  ) {}

  /** Bytes in buffers made here and not yet destroyed. */
  get bytes(): number {
    let sum = 0
    for (const size of this.#owned.values()) sum += size
    return sum
  }

  /**
   * A buffer for kernels and copies, `bytes` long (rounded up to 4), filled with zeros by WebGPU.
   * @throws DeviceError if it is larger than the device allows or memory is out.
   */
  async create(label: string, bytes: number, usage: number = STORAGE): Promise<GPUBuffer> {
    const size = Math.max(alignUp(bytes, 4), 4)
    if (size > this.maxSize) {
      throw new DeviceError(
        `${label}: ${size} bytes asked for, the adapter allows ${this.maxSize} in one buffer`,
      )
    }
    this.device.pushErrorScope('out-of-memory')
    const buffer = this.device.createBuffer({ label, size, usage })
    const error = await this.device.popErrorScope()
    if (error) throw new DeviceError(`${label}: no GPU memory for ${size} bytes: ${error.message}`)
    this.#owned.set(buffer, size)
    return buffer
  }

  /** A buffer that holds `data`. */
  async upload(label: string, data: Float32Array | Uint32Array | Int32Array): Promise<GPUBuffer> {
    const buffer = await this.create(label, data.byteLength)
    if (data.byteLength > 0)
      this.device.queue.writeBuffer(buffer, 0, data as Float32Array<ArrayBuffer>)
    return buffer
  }

  destroy(buffer: GPUBuffer): void {
    invariant(this.#owned.delete(buffer), `buffer ${buffer.label} is not owned here`)
    buffer.destroy()
  }

  /** Copies a range to the host. For tests and tools: it makes a buffer and waits. */
  async read(range: BufferRange): Promise<ArrayBuffer> {
    const offset = range.offset ?? 0
    const size = range.size ?? range.buffer.size - offset
    const copy = this.device.createBuffer({ size, usage: Usage.COPY_DST | Usage.MAP_READ })
    const encoder = this.device.createCommandEncoder()
    encoder.copyBufferToBuffer(range.buffer, offset, copy, 0, size)
    this.device.queue.submit([encoder.finish()])
    await copy.mapAsync(MAP_MODE_READ)
    const bytes = copy.getMappedRange().slice(0)
    copy.unmap()
    copy.destroy()
    return bytes
  }

  async readFloats(range: BufferRange): Promise<Float32Array> {
    return new Float32Array(await this.read(range))
  }

  /** Destroys every buffer that is left. */
  [Symbol.dispose](): void {
    for (const buffer of this.#owned.keys()) buffer.destroy()
    this.#owned.clear()
  }
}

const STORAGE = Usage.STORAGE | Usage.COPY_SRC | Usage.COPY_DST

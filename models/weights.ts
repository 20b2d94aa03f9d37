// Moves tensors of a checkpoint into GPU memory, a block of rows at a time, in the layouts that
// the kernels read.
import type { BufferRange, Buffers } from '../src/gpu/buffers.ts'
import { allocateMatrix, type Matrix, rowBytes, writeRows } from '../src/gpu/matrix.ts'
import { ITEM_BYTES, toFloat16Bits, toFloat32 } from '../src/loader/convert.ts'
import { readVector, type TensorSource } from '../src/loader/tensor-source.ts'

/** Host memory that a block of rows may take. */
const BLOCK_BYTES = 8 * 2 ** 20

/** Called after each block with the bytes of the checkpoint uploaded so far. */
export type LoadProgress = (bytes: number) => void

export class WeightUploader {
  /** Bytes read from the checkpoint so far. */
  #bytes = 0
  /** Bytes of GPU memory in matrices and vectors made so far. */
  gpuBytes = 0

  constructor(
    readonly buffers: Buffers,
    /** Storage type of matrices; vectors are always float32. */
    readonly type: Matrix['type'],
    readonly onProgress: LoadProgress = () => {},
  ) {}

  /** Stacks the rows of matrices with equal width: [Σ rows, columns]. */
  async stacked(label: string, sources: readonly TensorSource[]): Promise<Matrix> {
    const rows = sources.reduce((sum, source) => sum + source.shape[0], 0)
    const matrix = await this.#allocate(label, rows, sources[0].shape[1])
    let first = 0
    for (const source of sources) {
      for await (const block of this.#blocks(source)) {
        writeRows(this.buffers.device.queue, matrix, first + block.first, block.data)
      }
      first += source.shape[0]
    }
    return matrix
  }

  /** Interleaves two matrices of one shape row by row: row 2r of `a`, row 2r+1 of `b`. */
  async interleaved(label: string, a: TensorSource, b: TensorSource): Promise<Matrix> {
    const [rows, columns] = a.shape
    const matrix = await this.#allocate(label, 2 * rows, columns)
    const others = this.#blocks(b)
    for await (const block of this.#blocks(a)) {
      const other = (await others.next()).value as Block
      const data = this.#empty(2 * block.data.length)
      for (let i = 0; i < block.data.length / columns; i++) {
        const row = i * columns
        data.set(block.data.subarray(row, row + columns), 2 * row)
        data.set(other.data.subarray(row, row + columns), 2 * row + columns)
      }
      writeRows(this.buffers.device.queue, matrix, 2 * block.first, data)
    }
    return matrix
  }

  /** Joins small tensors end to end as float32. */
  async vector(label: string, sources: readonly TensorSource[]): Promise<BufferRange> {
    const parts: Float32Array[] = []
    for (const source of sources) {
      const part = await readVector(source)
      this.#count(part.length * ITEM_BYTES[source.dtype])
      parts.push(part)
    }
    const data = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
    let at = 0
    for (const part of parts) {
      data.set(part, at)
      at += part.length
    }
    this.gpuBytes += data.byteLength
    return { buffer: await this.buffers.upload(label, data) }
  }

  async #allocate(label: string, rows: number, columns: number): Promise<Matrix> {
    this.gpuBytes += rows * rowBytes(columns, this.type)
    return allocateMatrix(this.buffers, label, rows, columns, this.type)
  }

  async *#blocks(source: TensorSource): AsyncGenerator<Block> {
    const [rows, columns] = source.shape
    // Blocks hold the same rows for every dtype, so that two tensors can be interleaved.
    const step = Math.max(1, Math.floor(BLOCK_BYTES / (4 * columns)))
    for (let first = 0; first < rows; first += step) {
      const bytes = await source.readRows(first, Math.min(step, rows - first))
      this.#count(bytes.byteLength)
      const convert = this.type === 'f16' ? toFloat16Bits : toFloat32
      yield { first, data: convert(bytes, source, first * columns) }
    }
  }

  #empty(length: number): Block['data'] {
    return this.type === 'f16' ? new Uint16Array(length) : new Float32Array(length)
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    this.onProgress(this.#bytes)
  }
}

interface Block {
  first: number
  /** [rows, columns] float32 values or float16 bits. */
  data: Float32Array | Uint16Array
}

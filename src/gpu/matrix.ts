// Weight matrices in GPU memory: layout, allocation and upload.
import { DeviceError, invariant } from '../errors.ts'
import type { BufferRange, Buffers } from './buffers.ts'
import { alignUp } from './buffers.ts'

/**
 * A weight matrix on the GPU, row-major [rows, stride], rows padded with zeros to a multiple of 8
 * elements so that kernels can read 16 bytes at a time.
 */
export interface Matrix {
  range: BufferRange
  rows: number
  columns: number
  /** Elements from one row to the next. */
  stride: number
  type: MatrixType
}

export type MatrixType = 'f16' | 'f32'

const ELEMENT_BYTES: Readonly<Record<MatrixType, number>> = { f16: 2, f32: 4 }

/** Most bytes padded or converted at once; Dawn keeps a ring of this size for uploads. */
const BLOCK_BYTES = 4 * 2 ** 20

/** Elements of a row with its padding. */
export function rowStride(columns: number): number {
  return alignUp(columns, 8)
}

/** Bytes of a row with its padding. */
export function rowBytes(columns: number, type: MatrixType): number {
  return rowStride(columns) * ELEMENT_BYTES[type]
}

/**
 * A matrix of zeros in a buffer of its own.
 * @throws DeviceError if it is larger than the device can bind, or memory is out.
 */
export async function allocateMatrix(
  buffers: Buffers,
  label: string,
  rows: number,
  columns: number,
  type: MatrixType,
): Promise<Matrix> {
  invariant(rows > 0 && columns > 0, `${label}: matrix of ${rows} x ${columns}`)
  const bytes = rows * rowBytes(columns, type)
  const limit = buffers.maxSize
  if (bytes > limit) {
    throw new DeviceError(
      `${label}: [${rows}, ${columns}] in ${type} takes ${bytes} bytes, the adapter binds at most ${limit}`,
    )
  }
  const buffer = await buffers.create(label, bytes)
  return { range: { buffer }, rows, columns, stride: rowStride(columns), type }
}

/**
 * Writes rows from `first` on; large matrices arrive in blocks of rows.
 * @param data [count, columns] without padding: float32 values or float16 bits. Either is
 * converted if the matrix has the other type; float32 values from 65520 on become infinite.
 */
export function writeRows(
  queue: GPUQueue,
  matrix: Matrix,
  first: number,
  data: Float32Array | Uint16Array,
): void {
  const { range, columns, stride, type } = matrix
  const count = data.length / columns
  invariant(Number.isInteger(count), `${data.length} elements are no rows of ${columns}`)
  invariant(
    first >= 0 && first + count <= matrix.rows,
    `rows ${first} to ${first + count} of ${matrix.rows}`,
  )
  const bytesPerRow = rowBytes(columns, type)
  const step = Math.max(1, Math.floor(BLOCK_BYTES / bytesPerRow))
  for (let row = 0; row < count; row += step) {
    const rows = Math.min(step, count - row)
    const block = convert(data.subarray(row * columns, (row + rows) * columns), type)
    const padded = stride === columns ? block : pad(block, rows, columns, stride)
    const offset = (range.offset ?? 0) + (first + row) * bytesPerRow
    queue.writeBuffer(range.buffer, offset, padded as Float32Array<ArrayBuffer>)
  }
}

/** Float16 bits or float32 values, as the matrix stores them. */
function convert(data: Float32Array | Uint16Array, type: MatrixType): Float32Array | Uint16Array {
  if (type === 'f32') {
    return data instanceof Float32Array
      ? data
      : new Float32Array(new Float16Array(data.buffer, data.byteOffset, data.length))
  }
  return data instanceof Uint16Array ? data : new Uint16Array(new Float16Array(data).buffer)
}

function pad<T extends Float32Array | Uint16Array>(
  data: T,
  rows: number,
  columns: number,
  stride: number,
): T {
  const padded = new (data.constructor as new (length: number) => T)(rows * stride)
  for (let row = 0; row < rows; row++) {
    padded.set(data.subarray(row * columns, (row + 1) * columns), row * stride)
  }
  return padded
}

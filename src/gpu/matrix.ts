// Weight matrices in GPU memory: their layouts and their memory. What fills them is repack.ts.
import { DeviceError, invariant } from '../errors.ts'
import type { BufferRange, Buffers } from './buffers.ts'
import { alignUp } from './buffers.ts'

/**
 * A weight matrix on the GPU, row-major [rows, stride], rows padded with zeros so that kernels can
 * read 16 bytes at a time, and integers whole groups.
 *
 * Numbers lie in words of 32 bits, the first in the lowest bits. A number of an integer matrix is its
 * integer times the scale of its group. int8: four signed bytes a word, byte j of word i is number
 * 4i + j. int4: eight nibbles in two's complement; byte j of word i holds number 8i + j in its low and
 * number 8i + 4 + j in its high nibble, so that (w << 4) & 0xf0f0f0f0 and w & 0xf0f0f0f0 are four
 * signed bytes each, worth 16 times the value.
 */
export interface Matrix {
  range: BufferRange
  rows: number
  columns: number
  /** Elements from one row to the next. */
  stride: number
  type: MatrixType
  /** Of integers alone: [rows, stride / QUANT_GROUP] f16, two in a word; they may be negative. */
  scales?: BufferRange
}

export type MatrixType = 'f16' | 'f32' | 'int8' | 'int4'

/** Numbers of a row of an integer matrix that share a scale. */
export const QUANT_GROUP = 32

/** True for matrices of integers, which are multiplied with integer activations. */
export function isQuantized(type: MatrixType): boolean {
  return type === 'int8' || type === 'int4'
}

/**
 * What embeddings, head and the outputs of mixers are stored in, given the type of the other matrices:
 * they lose the most by four bits. Outputs in four bits cost tales-gla-5m 8.3 % of its perplexity, in
 * eight 2.4 %, for 8 % of the weights; projections in eight instead would gain half a per cent (2026-11-24).
 */
export function sensitiveType(type: MatrixType): MatrixType {
  return type === 'int4' ? 'int8' : type
}

const ELEMENT_BYTES: Readonly<Record<MatrixType, number>> = { f16: 2, f32: 4, int8: 1, int4: 0.5 }
const SCALE_BYTES = 2

/** Elements of a row with its padding. */
export function rowStride(columns: number, type: MatrixType): number {
  return alignUp(columns, isQuantized(type) ? QUANT_GROUP : 8)
}

/** Bytes of a row with its padding, without scales. */
export function rowBytes(columns: number, type: MatrixType): number {
  return rowStride(columns, type) * ELEMENT_BYTES[type]
}

/** Bytes of a matrix with its scales. */
export function matrixBytes({ rows, columns, stride, type }: Omit<Matrix, 'range'>): number {
  return rows * rowBytes(columns, type) + scaleBytes(rows, stride, type)
}

/**
 * A matrix of zeros in buffers of its own.
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
  const stride = rowStride(columns, type)
  const range = { buffer: await buffers.create(label, bytes) }
  if (!isQuantized(type)) return { range, rows, columns, stride, type }
  const scales = await buffers.create(`${label} scales`, scaleBytes(rows, stride, type))
  return { range, rows, columns, stride, type, scales: { buffer: scales } }
}

function scaleBytes(rows: number, stride: number, type: MatrixType): number {
  return isQuantized(type) ? alignUp((rows * stride * SCALE_BYTES) / QUANT_GROUP, 4) : 0
}

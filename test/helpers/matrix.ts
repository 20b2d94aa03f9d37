// A matrix made from numbers at hand, packed by the oracle and not by the kernels.
import type { Buffers } from '../../src/gpu/buffers.ts'
import { allocateMatrix, type Matrix, type MatrixType } from '../../src/gpu/matrix.ts'
import { packMatrix } from '../oracle/repack.ts'

/** A matrix on the GPU from float32 values [rows, columns]. */
export async function uploadMatrix(
  buffers: Buffers,
  label: string,
  data: Float32Array,
  rows: number,
  columns: number,
  type: MatrixType,
): Promise<Matrix> {
  const matrix = await allocateMatrix(buffers, label, rows, columns, type)
  const { words, scales } = packMatrix(data, rows, columns, type)
  write(buffers, matrix.range.buffer, words)
  if (matrix.scales) write(buffers, matrix.scales.buffer, scales)
  return matrix
}

/** The numbers [rows, columns] that a matrix made from these holds. */
export function heldValues(
  data: Float32Array,
  rows: number,
  columns: number,
  type: MatrixType,
): Float32Array {
  return packMatrix(data, rows, columns, type).values
}

function write(buffers: Buffers, buffer: GPUBuffer, words: Uint32Array<ArrayBuffer>): void {
  buffers.device.queue.writeBuffer(buffer, 0, words)
}

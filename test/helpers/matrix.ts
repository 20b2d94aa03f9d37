// A matrix made from numbers at hand.
import type { Buffers } from '../../src/gpu/buffers.ts'
import { allocateMatrix, type Matrix, type MatrixType, writeRows } from '../../src/gpu/matrix.ts'

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
  writeRows(buffers.device.queue, matrix, 0, data)
  return matrix
}

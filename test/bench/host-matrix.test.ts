// Weights read back from the GPU are the numbers that the kernels multiply with.
import { expect, test } from 'bun:test'
import type { MatrixType } from '../../src/gpu/matrix.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { heldValues, uploadMatrix } from '../helpers/matrix.ts'
import { Random } from '../helpers/numbers.ts'
import { readActivationRow, readWeightRow } from './host-matrix.ts'

const gpu = await openTestGpu()

test.each<MatrixType>(['f32', 'f16', 'int8', 'int4'])('rows of %s', async (type) => {
  // Three groups a row: every other row of scales begins in the middle of a word.
  const [rows, columns] = [5, 90]
  const data = new Random(3).normals(rows * columns)
  const matrix = await uploadMatrix(gpu.buffers, 'matrix', data, rows, columns, type)
  const held = heldValues(data, rows, columns, type)
  for (let row = 0; row < rows; row++) {
    const { range, scales } = matrix
    const read = await readWeightRow(gpu.buffers, range, scales, matrix, row, columns)
    expect([...read]).toEqual([...held.subarray(row * columns, (row + 1) * columns)])
  }
})

test('rows of int8 activations', async () => {
  const integers = Int8Array.from({ length: 128 }, (_, i) => i - 64)
  const scales = Float32Array.of(1, 0.5, 2, 0.25)
  const bytes = { buffer: await gpu.buffers.upload('x', new Uint32Array(integers.buffer)) }
  const factors = { buffer: await gpu.buffers.upload('scales', scales) }
  const row = await readActivationRow(gpu.buffers, bytes, factors, 64, 1, 40)
  const expected = Array.from({ length: 40 }, (_, i) => i * (i < 32 ? 2 : 0.25))
  expect([...row]).toEqual(expected)
})

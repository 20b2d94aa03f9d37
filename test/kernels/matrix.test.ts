import { describe, expect, test } from 'bun:test'
import { allocateMatrix, rowBytes, rowStride, writeRows } from '../../src/gpu/matrix.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { uploadMatrix } from '../helpers/matrix.ts'
import { Random } from '../helpers/numbers.ts'

const gpu = await openTestGpu()
const { queue } = gpu.gpu.device

test.each([
  { columns: 1, stride: 8, f16: 16, f32: 32 },
  { columns: 8, stride: 8, f16: 16, f32: 32 },
  { columns: 97, stride: 104, f16: 208, f32: 416 },
])('rows of $columns are padded to $stride', ({ columns, stride, f16, f32 }) => {
  expect(rowStride(columns)).toBe(stride)
  expect(rowBytes(columns, 'f16')).toBe(f16)
  expect(rowBytes(columns, 'f32')).toBe(f32)
})

describe.each([24, 11, 1])('%i columns', (columns) => {
  const rows = 9
  const values = new Random(columns).normals(rows * columns)
  const halves = new Float16Array(values)
  const bits = new Uint16Array(halves.buffer)
  const padded = (data: ArrayLike<number>) =>
    Array.from({ length: rows * rowStride(columns) }, (_, i) => {
      const column = i % rowStride(columns)
      return column < columns ? data[Math.floor(i / rowStride(columns)) * columns + column] : 0
    })

  test.each([
    { type: 'f32', from: 'float32 values', data: values, expected: padded(values) },
    { type: 'f32', from: 'float16 bits', data: bits, expected: padded(halves) },
    { type: 'f16', from: 'float32 values', data: values, expected: padded(halves) },
    { type: 'f16', from: 'float16 bits', data: bits, expected: padded(halves) },
  ] as const)('$type from $from, in blocks', async ({ type, data, expected }) => {
    const matrix = await allocateMatrix(gpu.buffers, 'matrix', rows, columns, type)
    for (const [from, to] of [
      [0, 4],
      [4, 5],
      [5, 9],
    ]) {
      writeRows(queue, matrix, from, data.subarray(from * columns, to * columns))
    }
    const bytes = await gpu.buffers.read(matrix.range)
    const read = type === 'f16' ? new Float16Array(bytes) : new Float32Array(bytes)
    expect([...read]).toEqual(expected)
  })
})

test('more than one upload block', async () => {
  const [rows, columns] = [1200, 1001]
  const data = new Float32Array(rows * columns).map((_, i) => i)
  const matrix = await uploadMatrix(gpu.buffers, 'matrix', data, rows, columns, 'f32')
  const read = await gpu.read(matrix.range)
  let wrong = 0
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < columns; i++) {
      if (read[row * matrix.stride + i] !== data[row * columns + i]) wrong++
    }
  }
  expect(wrong).toBe(0)
})

test('a matrix that no binding can hold, and rows that are none, are refused', async () => {
  await expect(allocateMatrix(gpu.buffers, 'lm_head', 2 ** 20, 2 ** 16, 'f32')).rejects.toThrow(
    /^lm_head: \[1048576, 65536\] in f32 takes 274877906944 bytes, the adapter binds at most \d+$/,
  )
  const matrix = await allocateMatrix(gpu.buffers, 'matrix', 3, 4, 'f32')
  expect(() => writeRows(queue, matrix, 0, new Float32Array(6))).toThrow('rows of 4')
  expect(() => writeRows(queue, matrix, 2, new Float32Array(8))).toThrow('rows 2 to 4 of 3')
})

import { describe, expect, test } from 'bun:test'
import {
  allocateMatrix,
  matrixBytes,
  rowBytes,
  rowStride,
  sensitiveType,
} from '../../src/gpu/matrix.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { heldValues, uploadMatrix } from '../helpers/matrix.ts'
import { Random } from '../helpers/numbers.ts'

const gpu = await openTestGpu()

test.each([
  { columns: 1, stride: 8, f16: 16, f32: 32, integers: 32 },
  { columns: 8, stride: 8, f16: 16, f32: 32, integers: 32 },
  { columns: 33, stride: 40, f16: 80, f32: 160, integers: 64 },
  { columns: 97, stride: 104, f16: 208, f32: 416, integers: 128 },
])('rows of $columns are padded to $stride', ({ columns, stride, f16, f32, integers }) => {
  expect(rowStride(columns, 'f16')).toBe(stride)
  expect(rowBytes(columns, 'f16')).toBe(f16)
  expect(rowBytes(columns, 'f32')).toBe(f32)
  expect(rowStride(columns, 'int4')).toBe(integers)
  expect(rowBytes(columns, 'int8')).toBe(integers)
  expect(rowBytes(columns, 'int4')).toBe(integers / 2)
})

test('memory of a matrix is what is accounted for', async () => {
  for (const type of ['f32', 'f16', 'int8', 'int4'] as const) {
    const before = gpu.buffers.bytes
    const matrix = await allocateMatrix(gpu.buffers, 'matrix', 3, 33, type)
    expect(matrixBytes(matrix)).toBe(gpu.buffers.bytes - before)
  }
})

test('embeddings are never int4', () => {
  expect((['f32', 'f16', 'int8', 'int4'] as const).map(sensitiveType)).toEqual([
    'f32',
    'f16',
    'int8',
    'int8',
  ])
})

describe('the test matrices', () => {
  test.each([
    { type: 'f32', error: 0 },
    { type: 'f16', error: 2 ** -11 },
    // Half a step of the scale, of numbers up to 4.
    { type: 'int8', error: 4 / 127 / 2 },
    { type: 'int4', error: 4 / 7 },
  ] as const)('$type is as near to the numbers as it can be', ({ type, error }) => {
    const values = new Random(4).normals(9 * 97).map((x) => Math.max(-4, Math.min(4, x)))
    const held = heldValues(values, 9, 97, type)
    const worst = Math.max(
      ...held.map((x, i) => Math.abs(x - values[i]) / (error < 0.01 ? Math.abs(values[i]) : 1)),
    )
    expect(worst).toBeLessThanOrEqual(error)
  })

  test('rows lie a stride apart', async () => {
    const data = new Random(5).normals(7 * 11)
    const matrix = await uploadMatrix(gpu.buffers, 'matrix', data, 7, 11, 'f32')
    const read = await gpu.read(matrix.range)
    for (let i = 0; i < 7 * 16; i++) {
      const [row, column] = [Math.floor(i / 16), i % 16]
      expect(read[i]).toBe(column < 11 ? data[row * 11 + column] : 0)
    }
  })
})

test('a matrix that no binding can hold is refused', async () => {
  await expect(allocateMatrix(gpu.buffers, 'lm_head', 2 ** 20, 2 ** 16, 'f32')).rejects.toThrow(
    /^lm_head: \[1048576, 65536\] in f32 takes 274877906944 bytes, the adapter binds at most \d+$/,
  )
})

import { expect, test } from 'bun:test'
import { quantize } from '../../src/gpu/ops/quantize.ts'
import { int8Output, readInt8 } from '../helpers/activations.ts'
import { openTestGpu, segmentsOf } from '../helpers/gpu.ts'
import { Random } from '../helpers/numbers.ts'
import { quantizedError } from '../oracle/int8.ts'

const gpu = await openTestGpu()

test.each([
  { tokens: 1, dim: 4096 },
  { tokens: 5, dim: 32 },
  { tokens: 3, dim: 1 },
  { tokens: 4, dim: 100 },
  { tokens: 7, dim: 65 },
])('$tokens rows of $dim', async ({ tokens, dim }) => {
  const x = new Random(dim).normals(tokens * dim, 5)
  const step = await gpu.step(segmentsOf([tokens]))
  const y = await int8Output(gpu, tokens, dim)
  const options = { step: step.tables, x: await gpu.input(x), y, dim }
  await gpu.run([quantize(gpu.tuning('plain'), options)], step.counts)
  expect(quantizedError(await readInt8(gpu, y), x, dim)).toBeLessThan(0.5001)
})

test('groups of zeros, of one number, of tiny and of huge ones', async () => {
  const dim = 160
  const x = new Float32Array(dim)
  x[40] = -3
  x.fill(1e-30, 64, 80)
  x.fill(3e38, 96, 128)
  x[128] = 1e-40
  const step = await gpu.step(segmentsOf([1]))
  const y = await int8Output(gpu, 1, dim)
  const options = { step: step.tables, x: await gpu.input(x), y, dim }
  await gpu.run([quantize(gpu.tuning('plain'), options)], step.counts)
  const { bytes, scales } = await readInt8(gpu, y)
  const group = (i: number) => [...bytes.subarray(32 * i, 32 * i + 32)]
  expect(group(0)).toEqual(new Array(32).fill(0))
  expect(scales[0]).toBe(0)
  expect(group(1)).toEqual(Array.from({ length: 32 }, (_, i) => (i === 8 ? -127 : 0)))
  expect(group(2)).toEqual(Array.from({ length: 32 }, (_, i) => (i < 16 ? 127 : 0)))
  expect(group(3)).toEqual(new Array(32).fill(127))
  expect(scales[3] / (3e38 / 127)).toBeCloseTo(1, 5)
  // Below the smallest normal float: as good as zeros.
  expect(group(4)).toEqual(new Array(32).fill(0))
})

test.each([
  { rows: 'decode_tokens', from: 0, to: 2 },
  { rows: 'prompt_tokens', from: 2, to: 7 },
] as const)('$rows alone', async ({ rows, from, to }) => {
  const dim = 48
  const x = new Random(3).normals(7 * dim)
  const step = await gpu.step(segmentsOf(['decode', 'decode', 5]))
  const y = await int8Output(gpu, 7, dim)
  const before = await readInt8(gpu, y)
  const options = { step: step.tables, x: await gpu.input(x), y, dim, rows }
  await gpu.run([quantize(gpu.tuning('plain'), options)], step.counts)
  const { bytes, scales, stride } = await readInt8(gpu, y)
  const part = (data: Int8Array | Float32Array, width: number) =>
    data.slice(from * width, to * width)
  const made = {
    bytes: part(bytes, stride) as Int8Array,
    scales: part(scales, stride / 32) as Float32Array,
    stride,
  }
  expect(quantizedError(made, x.slice(from * dim, to * dim), dim)).toBeLessThan(0.5001)
  for (let row = 0; row < 7; row++) {
    if (row >= from && row < to) continue
    const untouched = (data: Int8Array) => data.slice(row * stride, (row + 1) * stride)
    expect(untouched(bytes)).toEqual(untouched(before.bytes))
  }
})

test('a step without such rows has no dispatch', async () => {
  const { tables: step, counts } = await gpu.step(segmentsOf(['decode']))
  const y = await int8Output(gpu, 1, 32)
  const plan = quantize(gpu.tuning('plain'), {
    step,
    x: await gpu.input(new Float32Array(32)),
    y,
    dim: 32,
    rows: 'prompt_tokens',
  })
  expect(plan.grid(counts)).toBeUndefined()
})

test('rows of another length are refused', async () => {
  const { tables: step } = await gpu.step(segmentsOf([1]))
  const x = await gpu.input(new Float32Array(64))
  const y = await int8Output(gpu, 1, 64)
  expect(() => quantize(gpu.tuning('plain'), { step, x, y, dim: 32 })).toThrow('rows of 32')
})

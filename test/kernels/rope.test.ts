import { describe, expect, test } from 'bun:test'
import { rotary as plan, rotaryTable } from '../../src/gpu/ops/rope.ts'
import { openTestGpu, segmentsOf, variants } from '../helpers/gpu.ts'
import { Random, rmsError } from '../helpers/numbers.ts'
import { rotary } from '../oracle/attention.ts'

const gpu = await openTestGpu()

test('the table holds cos and sin of float64 angles', () => {
  const table = rotaryTable(100_001, 8, 500_000)
  const frequency = 500_000 ** (-2 / 8)
  expect(table.length).toBe(100_001 * 8)
  expect([...table.subarray(0, 8)]).toEqual([1, 0, 1, 0, 1, 0, 1, 0])
  const last = table.subarray(100_000 * 8)
  expect(last[0]).toBe(Math.fround(Math.cos(100_000)))
  expect(last[1]).toBe(Math.fround(Math.sin(100_000)))
  expect(last[2]).toBe(Math.fround(Math.cos(100_000 * frequency)))
  expect(last[3]).toBe(Math.fround(Math.sin(100_000 * frequency)))
})

describe.each(variants)('rotary, %s', (variant) => {
  test.each([
    { heads: 4, kvHeads: 2, headDim: 64, theta: 10_000, extra: 0, positions: [0, 1, 1000] },
    { heads: 3, kvHeads: 1, headDim: 60, theta: 500_000, extra: 7, positions: [0, 1000, 2000] },
    { heads: 2, kvHeads: 2, headDim: 2, theta: 10_000, extra: 1, positions: [99_998, 1, 0] },
    { heads: 4, kvHeads: 4, headDim: 8, theta: 10_000, extra: 0, positions: [100_000, 1000, 1] },
  ])('$heads/$kvHeads heads of $headDim at $positions', async (shape) => {
    const { heads, kvHeads, headDim, theta, extra } = shape
    const random = new Random(headDim)
    const lengths = ['decode', 3, 70] as const
    const segments = segmentsOf([...lengths], (i) => shape.positions[i])
    const positions = segments.flatMap(({ tokens, position }) => tokens.map((_, i) => position + i))
    const [width, kvWidth] = [heads * headDim, kvHeads * headDim]
    const stride = width + 2 * kvWidth + extra
    const p = random.normals(positions.length * stride)
    const table = rotaryTable(Math.max(...positions) + 1, headDim, theta)
    const step = await gpu.step(segments)
    const options = {
      step: step.tables,
      p: await gpu.input(p),
      stride,
      q: await gpu.output(positions.length * width),
      k: await gpu.output(positions.length * kvWidth),
      v: await gpu.output(positions.length * kvWidth),
      heads,
      kvHeads,
      headDim,
      table: await gpu.input(table),
    }
    await gpu.run([plan(gpu.tuning(variant), options)], step.counts)
    const part = (first: number, count: number) =>
      p.filter((_, at) => at % stride >= first && at % stride < first + count)
    const turned = (x: Float32Array) => rotary(x, positions, headDim, theta)
    expect(rmsError(await gpu.read(options.q), turned(part(0, width)))).toBeLessThan(1e-6)
    expect(rmsError(await gpu.read(options.k), turned(part(width, kvWidth)))).toBeLessThan(1e-6)
    expect(await gpu.read(options.v)).toEqual(part(width + kvWidth, kvWidth))
  })

  test('an odd head size is refused', async () => {
    const step = await gpu.step(segmentsOf([1]))
    const range = await gpu.input([0])
    const ranges = { p: range, q: range, k: range, v: range, table: range }
    const shape = { stride: 9, heads: 1, kvHeads: 1, headDim: 3 }
    const odd = { step: step.tables, ...ranges, ...shape }
    expect(() => plan(gpu.tuning(variant), odd)).toThrow('even head size, not 3')
  })
})

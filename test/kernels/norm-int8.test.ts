import { describe, expect, test } from 'bun:test'
import { floats } from '../../src/gpu/activations.ts'
import { normFillsGroups, rmsNorm as plan } from '../../src/gpu/ops/norm.ts'
import { int8Output, readInt8 } from '../helpers/activations.ts'
import { openTestGpu, segmentsOf, variants } from '../helpers/gpu.ts'
import { Random, rmsError } from '../helpers/numbers.ts'
import { quantizedError } from '../oracle/int8.ts'
import { silu } from '../oracle/math.ts'
import { rmsNorm } from '../oracle/norm.ts'

const gpu = await openTestGpu()

describe.each(variants)('norm to int8, %s', (variant) => {
  test.each([
    { tokens: 1, dim: 4096, heads: 1 },
    { tokens: 63, dim: 60, heads: 1 },
    { tokens: 2, dim: 1, heads: 1 },
    { tokens: 3, dim: 4132, heads: 1 },
    { tokens: 2, dim: 8195, heads: 1 },
    { tokens: 7, dim: 32, heads: 3 },
    { tokens: 5, dim: 128, heads: 4 },
  ])('$tokens tokens, $heads heads of $dim', async ({ tokens, dim, heads }) => {
    const random = new Random(dim)
    const x = random.normals(tokens * heads * dim, 3)
    const weight = random.normals(dim)
    const step = await gpu.step(segmentsOf([tokens]))
    const y = await int8Output(gpu, tokens, heads * dim)
    const options = {
      step: step.tables,
      x: await gpu.input(x),
      y,
      weight: await gpu.input(weight),
      dim,
      eps: 1e-5,
      heads,
    }
    await gpu.run([plan(gpu.tuning(variant), options)], step.counts)
    const expected = rmsNorm(x, dim, 1e-5, weight)
    // Half a step, and as much as the float32 norm in front of the rounding is off.
    expect(quantizedError(await readInt8(gpu, y), expected, heads * dim)).toBeLessThan(0.501)
  })

  test('prompt rows alone, with silu before and a gate after', async () => {
    const [tokens, decodes, heads, dim, stride, offset] = [9, 2, 2, 32, 100, 36]
    const random = new Random(1)
    const x = random.normals(tokens * heads * dim)
    const gate = random.normals(tokens * stride)
    const step = await gpu.step(segmentsOf(['decode', 'decode', 3, 4]))
    const y = await int8Output(gpu, tokens, heads * dim)
    const before = await readInt8(gpu, y)
    const options = {
      step: step.tables,
      x: await gpu.input(x),
      y,
      weight: undefined,
      dim,
      eps: 1e-6,
      heads,
      rows: 'prompt_tokens' as const,
      silu: true,
      gate: { range: await gpu.input(gate), stride, offset },
    }
    await gpu.run([plan(gpu.tuning(variant), options)], step.counts)
    const width = heads * dim
    const expected = rmsNorm(Array.from(x, silu), dim, 1e-6).map((value, i) => {
      return value * silu(gate[Math.floor(i / width) * stride + offset + (i % width)])
    })
    const { bytes, scales } = await readInt8(gpu, y)
    const made = {
      bytes: bytes.slice(decodes * width),
      scales: scales.slice((decodes * width) / 32),
      stride: width,
    }
    expect(quantizedError(made, expected.slice(decodes * width), width)).toBeLessThan(0.501)
    expect(bytes.slice(0, decodes * width)).toEqual(before.bytes.slice(0, decodes * width))
  })

  test('rows whose logits are wanted, in order', async () => {
    const dim = 40
    const x = new Random(2).normals(12 * dim)
    const segments = segmentsOf(['decode', 5, 6])
    segments[0].logits = 'last'
    segments[2].logits = 'all'
    const step = await gpu.step(segments)
    const y = await int8Output(gpu, 7, dim)
    const options = { step: step.tables, x: await gpu.input(x), y, dim, eps: 1e-5 }
    const rows = 'logit_rows' as const
    await gpu.run([plan(gpu.tuning(variant), { ...options, rows, weight: undefined })], step.counts)
    const picked = [0, 6, 7, 8, 9, 10, 11].flatMap((row) => [
      ...x.subarray(row * dim, (row + 1) * dim),
    ])
    const expected = rmsNorm(picked, dim, 1e-5)
    expect(quantizedError(await readInt8(gpu, y), expected, dim)).toBeLessThan(0.501)
  })

  test('decode rows alone, as float32', async () => {
    const dim = 36
    const x = new Random(4).normals(6 * dim)
    const step = await gpu.step(segmentsOf(['decode', 'decode', 4]))
    const y = await gpu.output(x.length)
    const options = { step: step.tables, x: await gpu.input(x), y: floats(y), dim, eps: 1e-5 }
    const rows = 'decode_tokens' as const
    await gpu.run([plan(gpu.tuning(variant), { ...options, rows, weight: undefined })], step.counts)
    const made = await gpu.read(y)
    const expected = rmsNorm(x, dim, 1e-5)
    expect(rmsError(made.slice(0, 2 * dim), expected.slice(0, 2 * dim))).toBeLessThan(1e-6)
    expect(made.slice(2 * dim).every(Number.isNaN)).toBe(true)
  })

  test('a group in two heads is refused', async () => {
    const { tables: step } = await gpu.step(segmentsOf([1]))
    const x = await gpu.input(new Float32Array(80))
    const y = await int8Output(gpu, 1, 80)
    const options = { step, x, y, weight: undefined, dim: 40, eps: 1e-5, heads: 2 }
    expect(normFillsGroups(options)).toBe(false)
    expect(() => plan(gpu.tuning(variant), options)).toThrow('heads of 40')
  })
})

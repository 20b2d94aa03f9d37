import { describe, expect, test } from 'bun:test'
import { floats } from '../../src/gpu/activations.ts'
import { rmsNorm as plan } from '../../src/gpu/ops/norm.ts'
import { openTestGpu, segmentsOf, variants } from '../helpers/gpu.ts'
import { Random, rmsError } from '../helpers/numbers.ts'
import { silu } from '../oracle/math.ts'
import { rmsNorm } from '../oracle/norm.ts'

const gpu = await openTestGpu()

describe.each(variants)('norm, %s', (variant) => {
  test.each([
    { tokens: 1, dim: 256, heads: 1 },
    { tokens: 63, dim: 60, heads: 1 },
    { tokens: 3, dim: 1, heads: 5 },
    { tokens: 2, dim: 4096, heads: 1 },
    { tokens: 2, dim: 4100, heads: 1 },
    { tokens: 2, dim: 9001, heads: 1 },
    { tokens: 3, dim: 128, heads: 5 },
    { tokens: 17, dim: 100, heads: 3 },
  ])('$tokens tokens, $heads heads of $dim', async ({ tokens, dim, heads }) => {
    const random = new Random(dim)
    const x = random.normals(tokens * heads * dim, 3)
    const weight = random.normals(dim)
    const step = await gpu.step(segmentsOf([tokens]))
    const y = await gpu.output(x.length)
    await gpu.run(
      [
        plan(gpu.tuning(variant), {
          step: step.tables,
          x: await gpu.input(x),
          y: floats(y),
          weight: await gpu.input(weight),
          dim,
          eps: 1e-5,
          heads,
        }),
      ],
      step.counts,
    )
    expect(rmsError(await gpu.read(y), rmsNorm(x, dim, 1e-5, weight))).toBeLessThan(1e-6)
  })

  test('silu before, gate after, no weight', async () => {
    const [tokens, heads, dim, stride, offset] = [7, 2, 24, 100, 31]
    const random = new Random(1)
    const x = random.normals(tokens * heads * dim)
    const gate = random.normals(tokens * stride)
    const step = await gpu.step(segmentsOf([tokens]))
    const y = await gpu.output(x.length)
    await gpu.run(
      [
        plan(gpu.tuning(variant), {
          step: step.tables,
          x: await gpu.input(x),
          y: floats(y),
          weight: undefined,
          dim,
          eps: 1e-6,
          heads,
          silu: true,
          gate: { range: await gpu.input(gate), stride, offset },
        }),
      ],
      step.counts,
    )
    const expected = rmsNorm(Array.from(x, silu), dim, 1e-6).map((value, i) => {
      const token = Math.floor(i / (heads * dim))
      return value * silu(gate[token * stride + offset + (i % (heads * dim))])
    })
    expect(rmsError(await gpu.read(y), expected)).toBeLessThan(1e-6)
  })

  test('only the rows whose logits are wanted, in order', async () => {
    const dim = 32
    const x = new Random(2).normals(12 * dim)
    const segments = segmentsOf(['decode', 5, 6])
    segments[0].logits = 'last'
    segments[1].logits = 'none'
    segments[2].logits = 'all'
    const step = await gpu.step(segments)
    const y = await gpu.output(7 * dim)
    await gpu.run(
      [
        plan(gpu.tuning(variant), {
          step: step.tables,
          x: await gpu.input(x),
          y: floats(y),
          weight: undefined,
          dim,
          eps: 1e-5,
          rows: 'logit_rows',
        }),
      ],
      step.counts,
    )
    const picked = [0, 6, 7, 8, 9, 10, 11].flatMap((row) => [
      ...x.subarray(row * dim, (row + 1) * dim),
    ])
    expect(rmsError(await gpu.read(y), rmsNorm(picked, dim, 1e-5))).toBeLessThan(1e-6)
  })
})

import { describe, expect, test } from 'bun:test'
import { embed } from '../../src/gpu/ops/embed.ts'
import { SAMPLED } from '../../src/gpu/step.ts'
import { openTestGpu, segmentsOf, variants } from '../helpers/gpu.ts'
import { heldValues, uploadMatrix } from '../helpers/matrix.ts'
import { Random } from '../helpers/numbers.ts'

const gpu = await openTestGpu()

describe.each(variants)('embed, %s', (variant) => {
  test.each([
    { D: 256, type: 'f16' },
    { D: 1000, type: 'f32' },
    { D: 97, type: 'f16' },
    { D: 62, type: 'f32' },
    { D: 3, type: 'f16' },
    { D: 256, type: 'int8' },
    { D: 97, type: 'int8' },
    { D: 3, type: 'int8' },
    { D: 64, type: 'int4' },
    { D: 62, type: 'int4' },
    { D: 7, type: 'int4' },
  ] as const)('rows of $D, $type', async ({ D, type }) => {
    const vocabulary = 50
    const table = new Random(D).normals(vocabulary * D)
    const segments = segmentsOf(['decode', 4, 2])
    segments[0].tokens = [49]
    segments[1].tokens = [0, 7, 7, 31]
    segments[2].tokens = [48, 1]
    const step = await gpu.step(segments)
    const x = await gpu.output(8 * D)
    const plan = embed(gpu.tuning(variant), {
      step: step.tables,
      table: await uploadMatrix(gpu.buffers, 'table', table, vocabulary, D, type),
      sampled: await gpu.output(1),
      x,
    })
    await gpu.run([plan], step.counts)
    const held = heldValues(table, vocabulary, D, type)
    const expected = [49, 0, 7, 7, 31, 48, 1].flatMap((id) => [
      ...held.subarray(id * D, (id + 1) * D),
    ])
    const result = await gpu.read(x)
    expect(result.subarray(0, 7 * D)).toEqual(Float32Array.from(expected))
    expect(result.subarray(7 * D).every(Number.isNaN)).toBe(true)
  })
  test('tokens that only the device knows', async () => {
    const [vocabulary, D] = [50, 6]
    const table = new Random(1).normals(vocabulary * D)
    const segments = segmentsOf(['decode', 'decode', 'decode', 2])
    segments[0] = { ...segments[0], slot: 2, tokens: [SAMPLED] }
    segments[1] = { ...segments[1], slot: 0, tokens: [7] }
    segments[2] = { ...segments[2], slot: 1, tokens: [SAMPLED] }
    segments[3] = { ...segments[3], slot: 3, tokens: [4, 49] }
    const step = await gpu.step(segments)
    const x = await gpu.output(5 * D)
    const plan = embed(gpu.tuning(variant, 'f32'), {
      step: step.tables,
      table: await uploadMatrix(gpu.buffers, 'table', table, vocabulary, D, 'f32'),
      sampled: { buffer: await gpu.buffers.upload('sampled', new Uint32Array([11, 12, 0, 13])) },
      x,
    })
    await gpu.run([plan], step.counts)
    const expected = [0, 7, 12, 4, 49].flatMap((id) => [...table.subarray(id * D, (id + 1) * D)])
    expect(await gpu.read(x)).toEqual(Float32Array.from(expected))
  })
})

import { describe, expect, test } from 'bun:test'
import { embed } from '../../src/gpu/ops/embed.ts'
import { openTestGpu, segmentsOf, variants } from '../helpers/gpu.ts'
import { uploadMatrix } from '../helpers/matrix.ts'
import { Random } from '../helpers/numbers.ts'

const gpu = await openTestGpu()

describe.each(variants)('embed, %s', (variant) => {
  test.each([
    { D: 256, type: 'f16' },
    { D: 1000, type: 'f32' },
    { D: 97, type: 'f16' },
    { D: 62, type: 'f32' },
    { D: 3, type: 'f16' },
  ] as const)('rows of $D, $type', async ({ D, type }) => {
    const vocabulary = 50
    const table = new Random(D).normals(vocabulary * D)
    const segments = segmentsOf(['decode', 4, 2])
    segments[0].tokens = [49]
    segments[1].tokens = [0, 7, 7, 31]
    segments[2].tokens = [48, 1]
    const step = await gpu.step(segments)
    const x = await gpu.output(8 * D)
    const plan = embed(gpu.tuning(variant, type), {
      step: step.tables,
      table: await uploadMatrix(gpu.buffers, 'table', table, vocabulary, D, type),
      x,
    })
    await gpu.run([plan], step.counts)
    const held = type === 'f16' ? new Float32Array(new Float16Array(table)) : table
    const expected = [49, 0, 7, 7, 31, 48, 1].flatMap((id) => [
      ...held.subarray(id * D, (id + 1) * D),
    ])
    const result = await gpu.read(x)
    expect(result.subarray(0, 7 * D)).toEqual(Float32Array.from(expected))
    expect(result.subarray(7 * D).every(Number.isNaN)).toBe(true)
  })
})

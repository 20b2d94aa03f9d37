// Small twins of the published checkpoints with random weights, in every layout that their files may
// have: each loads whole, computes what the float64 oracle does, and takes the memory that README says.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { parseModelConfig } from '../../models/config.ts'
import { type Expected, errorsOf, expectedOf } from '../helpers/against-oracle.ts'
import type { Json } from '../helpers/checkpoints.ts'
import { openTestGpu, variants } from '../helpers/gpu.ts'
import { openTestModel } from '../helpers/model.ts'
import { placedBytes } from '../helpers/placed-bytes.ts'
import { layoutsOf, narrowed, PUBLISHED } from '../helpers/published.ts'
import { randomTensors, writeModel } from '../helpers/random-model.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

const gpu = await openTestGpu()
/** Software adapters take seconds to compile those with subgroups. */
const kernels = gpu.gpu.adapter.software ? (['plain'] as const) : variants
const temp = await TempFolder.create()
afterAll(() => temp[Symbol.asyncDispose]())

describe.each(Object.entries(PUBLISHED))('%s', (name, published) => {
  const config = narrowed(published)
  const tensors = randomTensors(config, 'BF16')
  const folder = join(temp.path, name)
  let expected: Expected

  beforeAll(async () => {
    await writeModel(folder, config, tensors)
    expected = await expectedOf(folder)
  })

  test.each(layoutsOf(config).map((layout) => [layout.what, layout] as const))(
    '%s',
    async (what, layout) => {
      const stored = join(temp.path, `${name}, ${what}`)
      const json: Json = { ...config, ...layout.config }
      await writeModel(stored, json, layout.tensors(tensors))
      const wanted = layout.differs ? await expectedOf(stored) : expected
      for (const variant of kernels) {
        const errors = await errorsOf(gpu, stored, variant, wanted)
        for (const error of Object.values(errors)) expect(error).toBeLessThan(1e-4)
      }
    },
  )

  test('takes the memory that is reckoned with', async () => {
    const { decoder } = await openTestModel(gpu, folder, 'plain')
    const reckoned = placedBytes(parseModelConfig(config, 'config.json'), 'f32')
    expect(decoder.weightBytes).toBe(reckoned)
  })
})

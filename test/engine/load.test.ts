// Whole models from folders: quantized, and without weights.
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type LoadedModel, type LoadOptions, loadModel } from '../../src/engine/load.ts'
import { smallCheckpoint } from '../helpers/checkpoints.ts'
import { collect, requestOf } from '../helpers/engine.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

setDefaultTimeout(120_000)

function load(folder: string, more: Partial<LoadOptions> = {}): Promise<LoadedModel> {
  return loadModel({
    folder,
    ...{ adapter: process.env.GLAZE_TEST_ADAPTER || 'auto', kernels: 'auto', dtype: 'auto' },
    ...{ batchInvariant: undefined, maxModelLen: undefined, maxNumSeqs: 2 },
    ...{ maxNumBatchedTokens: 64, stateMemory: undefined },
    ...{ prefixCacheBytes: 0, prefixCacheHostBytes: 0, checked: true },
    ...more,
  })
}

/** The tokens of a greedy answer, with log-probabilities. */
async function answer({ engine }: LoadedModel) {
  const { tokens } = await collect(engine.submit(requestOf([1, 5, 9, 13], { ignoreEos: true })))
  return tokens.map(({ id, logprob }) => ({ id, logprob }))
}

describe('--random-weights', () => {
  /** Loads a model that has no weights; what it answers and the bytes of its weights. */
  async function run(options: Partial<LoadOptions>) {
    await using temp = await TempFolder.create()
    await smallCheckpoint(temp.path)
    await rm(join(temp.path, 'model.safetensors'))
    const progress: [number, number][] = []
    const onProgress: LoadOptions['onProgress'] = (...state) => progress.push(state)
    await using model = await load(temp.path, { ...options, randomWeights: true, onProgress })
    const [done, total] = progress[progress.length - 1]
    expect(done).toBe(total)
    return { tokens: await answer(model), bytes: model.plan.weightBytes }
  }

  test('give the same answer each time', async () => {
    const first = await run({ dtype: 'float16' })
    expect(first.tokens.length).toBe(8)
    expect(new Set(first.tokens.map(({ logprob }) => logprob)).size).toBeGreaterThan(4)
    expect(await run({ dtype: 'float16' })).toEqual(first)
  })

  test.each(['int8', 'int4'])('as %s take the memory that they should', async (quantization) => {
    const { tokens, bytes } = await run({ quantization })
    expect(tokens.length).toBe(8)
    // Most of this model is its embeddings, which are int8 in both: 8.5 bits for 16.
    const halves = (await run({ dtype: 'float16' })).bytes
    expect(bytes / halves).toBeGreaterThan(0.5)
    expect(bytes / halves).toBeLessThan(quantization === 'int8' ? 0.6 : 0.57)
  })
})

test('without --random-weights weights are missed', async () => {
  await using temp = await TempFolder.create()
  await smallCheckpoint(temp.path)
  await rm(join(temp.path, 'model.safetensors'))
  await expect(load(temp.path)).rejects.toThrow('has neither model.safetensors nor')
})

test('a number that is none is named, before anything runs', async () => {
  await using temp = await TempFolder.create()
  await smallCheckpoint(temp.path, {
    tensors: (tensors) => {
      const down = tensors['model.layers.1.mlp.down_proj.weight'].data
      down[down.length - 1] = Number.NaN
    },
  })
  for (const quantization of ['none', 'int8', 'int4']) {
    await expect(load(temp.path, { quantization })).rejects.toThrow(
      /model\.safetensors: tensor model\.layers\.1\.mlp\.down_proj\.weight, element \d+: found NaN/,
    )
  }
})

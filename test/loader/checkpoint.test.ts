// Checkpoint folders that are sound: one file or shards, with and without the optional files.

import { describe, expect, test } from 'bun:test'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { openCheckpoint } from '../../src/loader/checkpoint.ts'
import {
  readTensors,
  smallCheckpoint,
  writeJson,
  writeSafetensors,
  writeShards,
} from '../helpers/checkpoints.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

test('everything in a folder is found', async () => {
  await using temp = await TempFolder.create()
  await smallCheckpoint(temp.path)
  await using checkpoint = await openCheckpoint(temp.path)
  expect(checkpoint.folder).toBe(temp.path)
  expect(checkpoint.configFile).toBe(join(temp.path, 'config.json'))
  expect(checkpoint.config).toMatchObject({ model_type: 'gla', hidden_size: 32 })
  expect(checkpoint.tokenizerFile).toBe(join(temp.path, 'tokenizer.json'))
  expect(checkpoint.tokenizerConfigFile).toBe(join(temp.path, 'tokenizer_config.json'))
  expect(checkpoint.weightsFile).toBe(join(temp.path, 'model.safetensors'))
  expect(checkpoint.tensors.get('model.norm.weight')).toMatchObject({
    name: 'model.norm.weight',
    dtype: 'F16',
    shape: [32],
    file: checkpoint.weightsFile,
  })
})

test('the optional files may be absent', async () => {
  await using temp = await TempFolder.create()
  await smallCheckpoint(temp.path)
  for (const name of ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json']) {
    await rm(join(temp.path, name))
  }
  await using checkpoint = await openCheckpoint(temp.path)
  expect(checkpoint.tokenizerFile).toBeUndefined()
  expect(checkpoint.tokenizerConfigFile).toBeUndefined()
  expect(checkpoint.generationConfig).toEqual({
    eosTokenIds: [2],
    bosTokenId: 1,
    doSample: undefined,
    temperature: undefined,
    topP: undefined,
    topK: undefined,
    minP: undefined,
    repetitionPenalty: undefined,
  })
})

describe('generation_config.json', () => {
  test.each([
    [{ eos_token_id: [5, 6] }, { eosTokenIds: [5, 6], bosTokenId: 1 }],
    [
      { eos_token_id: 5, bos_token_id: 4 },
      { eosTokenIds: [5], bosTokenId: 4 },
    ],
    [
      { eos_token_id: null, top_k: null },
      { eosTokenIds: [2], topK: undefined },
    ],
    [
      { do_sample: true, temperature: 0.7, top_p: 0.9, top_k: 40, min_p: 0.05, unknown: {} },
      { doSample: true, temperature: 0.7, topP: 0.9, topK: 40, minP: 0.05 },
    ],
  ])('%j', async (json, expected) => {
    await using temp = await TempFolder.create()
    await smallCheckpoint(temp.path)
    await writeJson(join(temp.path, 'generation_config.json'), json)
    await using checkpoint = await openCheckpoint(temp.path)
    expect(checkpoint.generationConfig).toMatchObject(expected)
  })

  test('no end-of-sequence token anywhere', async () => {
    await using temp = await TempFolder.create()
    await smallCheckpoint(temp.path, { config: { eos_token_id: undefined } })
    await writeJson(join(temp.path, 'generation_config.json'), {})
    await using checkpoint = await openCheckpoint(temp.path)
    expect(checkpoint.generationConfig.eosTokenIds).toEqual([])
  })
})

describe('shards', () => {
  test.each([1, 2, 3, 7])('%d of them hold the same bytes as one file', async (count) => {
    await using temp = await TempFolder.create()
    await smallCheckpoint(temp.path, { kind: 'gsa' })
    const whole = await readTensors(temp.path)
    await writeShards(temp.path, whole, count)
    await rm(join(temp.path, 'model.safetensors'))
    const joined = await readTensors(temp.path)
    expect(Object.keys(joined).sort()).toEqual(Object.keys(whole).sort())
    expect(joined).toEqual(whole)
    await using checkpoint = await openCheckpoint(temp.path)
    expect(new Set([...checkpoint.tensors.values()].map(({ file }) => file)).size).toBe(count)
  })

  test('an index that lists model.safetensors itself', async () => {
    await using temp = await TempFolder.create()
    await smallCheckpoint(temp.path)
    const tensors = await readTensors(temp.path)
    await writeSafetensors(join(temp.path, 'model.safetensors'), tensors)
    const names = Object.keys(tensors)
    await writeJson(join(temp.path, 'model.safetensors.index.json'), {
      weight_map: Object.fromEntries(names.map((name) => [name, 'model.safetensors'])),
    })
    expect(Object.keys(await readTensors(temp.path)).sort()).toEqual(names.sort())
  })
})

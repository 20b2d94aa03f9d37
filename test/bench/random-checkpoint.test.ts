// Random checkpoints are whole: the loader finds every tensor that the configuration calls for.
import { expect, test } from 'bun:test'
import { readdir } from 'node:fs/promises'
import { parseModelConfig } from '../../models/config.ts'
import { mapTensors, usedBytes } from '../../models/tensors.ts'
import { openCheckpoint } from '../../src/loader/checkpoint.ts'
import { TempFolder } from '../helpers/temp-folder.ts'
import { type Json, writeRandomCheckpoint } from './random-checkpoint.ts'

const SIZES = { hidden_size: 32, num_hidden_layers: 2, num_heads: 4, vocab_size: 4096 }

test.each<[string, Json]>([
  ['GLA with everything', { model_type: 'gla', use_short_conv: true, use_output_gate: true }],
  ['GLA, grouped heads', { model_type: 'gla', num_kv_heads: 2, tie_word_embeddings: true }],
  ['GSA', { model_type: 'gsa', num_slots: 8, feature_map: 't2r', use_short_conv: true }],
  ['softmax', { model_type: 'gla', attn: { layers: [0, 1], num_heads: 4, qkv_bias: true } }],
])('%s', async (_, config) => {
  await using folder = await TempFolder.create()
  const bytes = await writeRandomCheckpoint(folder.path, { ...SIZES, ...config })
  await using checkpoint = await openCheckpoint(folder.path)
  const tensors = mapTensors(parseModelConfig(checkpoint.config, checkpoint.configFile), checkpoint)
  expect(usedBytes(tensors)).toBe(bytes)
})

test('large weights are split into shards with an index', async () => {
  await using folder = await TempFolder.create()
  const config = { model_type: 'gla', ...SIZES }
  const limit = 300_000
  const bytes = await writeRandomCheckpoint(folder.path, config, limit)
  const files = (await readdir(folder.path)).filter((name) => name.endsWith('.safetensors'))
  expect(files.length).toBeGreaterThan(1)
  expect(files.sort()[0]).toBe(`model-00001-of-0000${files.length}.safetensors`)
  for (const name of files) {
    const text = 10_000
    expect(Bun.file(`${folder.path}/${name}`).size).toBeLessThan(limit + text)
  }
  await using checkpoint = await openCheckpoint(folder.path)
  const tensors = mapTensors(parseModelConfig(checkpoint.config, checkpoint.configFile), checkpoint)
  expect(usedBytes(tensors)).toBe(bytes)
  const { dtype } = tensors.embeddings
  expect(dtype).toBe('BF16')
})

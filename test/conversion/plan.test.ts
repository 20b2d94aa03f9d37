// What a conversion will do: the new configuration, which tensors are copied, which are new.
import { afterAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { type GlaConfig, type GsaConfig, parseModelConfig } from '../../models/config.ts'
import type { ConversionPlan } from '../../src/conversion/plan.ts'
import { ConfigError } from '../../src/errors.ts'
import { shipped } from '../helpers/model.ts'
import { TempFolder } from '../helpers/temp-folder.ts'
import { MISTRAL, planOf, writeLlama } from './sources.ts'

const temp = await TempFolder.create()
afterAll(() => temp[Symbol.asyncDispose]())
const llama = join(temp.path, 'llama')
await writeLlama(llama)

const parsed = (plan: ConversionPlan) => parseModelConfig(plan.config, 'config.json')
const added = (plan: ConversionPlan) => plan.tensors.filter(({ from }) => from === undefined)
const namesOf = (tensors: readonly { name: string }[]) => tensors.map(({ name }) => name)
const mixer = (plan: ConversionPlan) => parsed(plan).layers[0] as GlaConfig & GsaConfig

describe('the shipped softmax model becomes what the shipped linear ones are', () => {
  test.each<[string[], string, number]>([
    [['--to', 'gla'], 'tales-gla-5m', 80],
    [['--to', 'gsa', '--num-slots', '32', '--feature-map', 'relu'], 'tales-gsa-5m', 68],
    [['--to', 'hybrid', '--softmax-layers', '2,5', '--window', '256'], 'tales-gla-hybrid-5m', 72],
  ])('%j: %s', async (args, name, count) => {
    const plan = await planOf(MISTRAL, args)
    expect(plan.tensors).toHaveLength(count)
    expect(added(plan)).toHaveLength(count - 56)
    expect(plan.dropped).toEqual([])
    expect(plan.notes).toEqual([])
    const made = await Bun.file(join(shipped, name, 'config.json')).json()
    expect(parsed(plan)).toEqual(parseModelConfig(made, name))
  })
})

test('what a source says of itself is kept', async () => {
  const { config, source } = await planOf(llama, ['--to', 'gla'])
  expect(config).toMatchObject({
    ...{ model_type: 'gla', architectures: ['GLAForCausalLM'], torch_dtype: 'bfloat16' },
    ...{ hidden_size: 64, intermediate_size: 96, num_hidden_layers: 3, vocab_size: 4096 },
    ...{ num_heads: 8, num_kv_heads: 4, norm_eps: 1e-5, tie_word_embeddings: false },
    ...{ max_position_embeddings: 1024, bos_token_id: 1, eos_token_id: 2, attn: null },
    ...{ expand_k: 1, expand_v: 1, feature_map: 'relu', use_output_gate: false },
  })
  expect(source.initializerRange).toBe(0.02)
  const range = join(temp.path, 'range')
  await writeLlama(range, { config: { initializer_range: 0.006, eos_token_id: [2, 7] } })
  const other = await planOf(range, ['--to', 'gsa'])
  expect(other.source.initializerRange).toBe(0.006)
  expect(other.config).toMatchObject({
    ...{ model_type: 'gsa', architectures: ['GSAForCausalLM'], eos_token_id: [2, 7] },
    ...{ num_slots: 64, gate_logit_normalizer: 8, feature_map: 'swish' },
  })
})

describe('options', () => {
  test.each<[string[], object]>([
    [['--to', 'gla', '--feature-map', 'none'], { featureMap: 'identity' }],
    [['--to', 'gla', '--feature-map', 'gelu'], { featureMap: 'gelu' }],
    [['--to', 'gsa', '--feature-map', 't2r'], { featureMap: 't2r' }],
    [['--to', 'gsa', '--num-slots', '16'], { slots: 16 }],
    [['--to', 'gsa', '--gate-logit-normalizer', '32'], { gateNormalizer: 32 }],
    [['--to', 'gla', '--output-gate'], { outputGate: true }],
    [['--to', 'gla', '--short-conv'], { convSize: 4 }],
    [['--to', 'gsa', '--short-conv', '--conv-size', '3'], { convSize: 3 }],
  ])('%j', async (args, expected) => {
    expect(mixer(await planOf(llama, args))).toMatchObject(expected)
  })

  test('new tensors of the options', async () => {
    const gated = namesOf(added(await planOf(llama, ['--to', 'gla', '--output-gate'])))
    expect(gated.slice(0, 5)).toEqual([
      'model.layers.0.attn.g_norm_swish_gate.weight',
      'model.layers.0.attn.gk_proj.0.weight',
      'model.layers.0.attn.gk_proj.1.weight',
      'model.layers.0.attn.gk_proj.1.bias',
      'model.layers.0.attn.g_proj.weight',
    ])
    const args = ['--to', 'gsa', '--short-conv', '--feature-map', 't2r']
    const slots = added(await planOf(llama, args)).slice(0, 6)
    expect(
      slots.map(({ name, shape }) => [name.replace('model.layers.0.attn.', ''), shape]),
    ).toEqual([
      ['q_conv1d.weight', [64, 1, 4]],
      ['k_conv1d.weight', [32, 1, 4]],
      ['v_conv1d.weight', [32, 1, 4]],
      ['g_norm.weight', [64]],
      ['f_proj.weight', [256, 64]],
      ['feature_map.layer.weight', [8, 8]],
    ])
  })

  test('types: as stored, or one for all', async () => {
    const mixed = join(temp.path, 'mixed')
    await writeLlama(mixed, {
      tensors: (tensors) => {
        tensors['model.norm.weight'].dtype = 'F32'
      },
    })
    const kept = await planOf(mixed, ['--to', 'gla'])
    const dtypeOf = (plan: ConversionPlan, name: string) =>
      plan.tensors.find((tensor) => tensor.name === name)?.dtype
    expect(dtypeOf(kept, 'model.norm.weight')).toBe('F32')
    expect(dtypeOf(kept, 'model.layers.0.attn.g_norm.weight')).toBe('BF16')
    expect(dtypeOf(kept, 'model.embeddings.weight')).toBe('BF16')
    const half = await planOf(mixed, ['--to', 'gla', '--dtype', 'float16'])
    expect(new Set(half.tensors.map(({ dtype }) => dtype))).toEqual(new Set(['F16']))
    expect(half.config.torch_dtype).toBe('float16')
  })
})

describe('hybrids', () => {
  const windowOf = async (folder: string, ...args: string[]) => {
    const plan = await planOf(folder, ['--to', 'hybrid', '--softmax-layers', '1', ...args])
    return parsed(plan).layers[1]
  }

  test('softmax layers keep heads, angles and window of the source', async () => {
    const layer = { kind: 'softmax', heads: 8, kvHeads: 4, headDim: 8, ropeTheta: 500000 }
    expect(await windowOf(llama)).toMatchObject({ ...layer, window: undefined, qkvBias: false })
    expect(await windowOf(llama, '--window', '32')).toMatchObject({ ...layer, window: 32 })
    const mistral = join(temp.path, 'mistral')
    await writeLlama(mistral, { config: { model_type: 'mistral', sliding_window: 48 } })
    expect(await windowOf(mistral)).toMatchObject({ ...layer, window: 48 })
    expect(await windowOf(mistral, '--window', 'none')).toMatchObject({ window: undefined })
  })

  test('of either linear attention, layers in any order', async () => {
    const args = ['--to', 'hybrid', '--mixer', 'gsa', '--softmax-layers', '2,0']
    const plan = await planOf(llama, args)
    expect(parsed(plan).layers.map(({ kind }) => kind)).toEqual(['softmax', 'gsa', 'softmax'])
    expect(plan.config.attn).toMatchObject({ layers: [0, 2] })
    expect(namesOf(added(plan))).toEqual([
      'model.layers.1.attn.g_norm.weight',
      'model.layers.1.attn.f_proj.weight',
    ])
  })
})

test.each<[string[], string]>([
  [['--to', 'hybrid'], '--to hybrid needs --softmax-layers, such as 2,5'],
  [['--to', 'hybrid', '--softmax-layers', '1,1'], '--softmax-layers 1,1: expected each layer once'],
  [['--to', 'hybrid', '--softmax-layers', '3'], 'the source has layers 0 to 2'],
  [['--to', 'hybrid', '--softmax-layers', '0,1,2'], 'names all layers'],
  [['--to', 'gla', '--softmax-layers', '1'], '--softmax-layers is for --to hybrid, not --to gla'],
  [['--to', 'gsa', '--window', '16'], '--window is for --to hybrid, not --to gsa'],
  [['--to', 'gla', '--mixer', 'gsa'], '--mixer is for --to hybrid'],
  [['--to', 'gsa', '--drop-rope-scaling'], '--drop-rope-scaling is for --to hybrid, not --to gsa'],
  [['--to', 'gla', '--untie'], '--untie: the source has a head of its own'],
  [['--to', 'gla', '--feature-map', 't2r'], '--feature-map t2r: gla has none, relu, swish'],
  [['--to', 'gsa', '--feature-map', 'gelu'], '--feature-map gelu: gsa has swish, relu, t2r'],
  [['--to', 'gla', '--num-slots', '8'], '--num-slots is for gsa'],
  [['--to', 'gla', '--gate-logit-normalizer', '8'], 'that of gla is always 16'],
  [['--to', 'gsa', '--output-gate'], '--output-gate is for gla'],
  [['--to', 'gla', '--conv-size', '3'], '--conv-size means something with --short-conv only'],
  [['--to', 'rwkv'], '--to is "rwkv": expected gla, gsa or hybrid'],
  [[], '--to is missing: expected gla, gsa or hybrid'],
  [['--to', 'gla', '--seed', '-1'], '--seed is "-1": expected a whole number'],
  [['--to', 'gla', 'third'], 'unexpected argument "third"'],
])('%j is refused', async (args, message) => {
  // A promise also where it is the command line that refuses.
  const plan = (async () => planOf(llama, args))()
  await expect(plan).rejects.toThrow(ConfigError)
  await expect((async () => planOf(llama, args))()).rejects.toThrow(message)
})

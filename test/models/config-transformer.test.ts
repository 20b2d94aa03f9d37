// Configurations of models whose layers are all softmax attention.

import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { parseModelConfig } from '../../models/config.ts'
import { CheckpointError } from '../../src/errors.ts'

const MISTRAL = join(import.meta.dir, '../../models/checkpoints/tales-mistral-5m/config.json')

const sizes = { hidden_size: 96, num_hidden_layers: 2, vocab_size: 50, intermediate_size: 64 }
const llama = { model_type: 'llama', ...sizes, num_attention_heads: 4 }
const mistral = { ...llama, model_type: 'mistral', num_key_value_heads: 2 }
const fla = { model_type: 'transformer', ...sizes, num_heads: 4 }

const parse = (json: Record<string, unknown>) => parseModelConfig(json, 'config.json')

test('tales-mistral-5m', async () => {
  const layer = { kind: 'softmax', heads: 4, kvHeads: 2, headDim: 64, qkvBias: false } as const
  expect(parseModelConfig(await Bun.file(MISTRAL).json(), MISTRAL)).toEqual({
    modelType: 'mistral',
    hiddenSize: 256,
    innerSize: 704,
    vocabSize: 4096,
    normEps: 1e-5,
    tiedEmbeddings: true,
    layers: Array(6).fill({ ...layer, window: undefined, ropeTheta: 10000 }),
    maxPositions: 2048,
    legacyNormFirst: false,
  })
})

describe('keys', () => {
  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['heads share nothing in Llama', llama, { heads: 4, kvHeads: 4, headDim: 24 }],
    ['head_dim', { ...llama, head_dim: 32 }, { headDim: 32 }],
    ['rope_theta', { ...llama, rope_theta: 5e5 }, { ropeTheta: 5e5 }],
    ['its newer spelling', { ...llama, rope_parameters: { rope_theta: 1e6 } }, { ropeTheta: 1e6 }],
    [
      'plain positions in the older spelling',
      { ...llama, rope_theta: 5e5, rope_scaling: { type: 'default' } },
      { ropeTheta: 5e5 },
    ],
    ['as many key/value heads', { ...mistral, num_key_value_heads: null }, { kvHeads: 4 }],
    ['no window in Llama', { ...llama, sliding_window: 8 }, { window: undefined }],
    ['the window of Mistral', { ...mistral, sliding_window: 8 }, { kvHeads: 2, window: 8 }],
    ['none', { ...mistral, sliding_window: null }, { window: undefined }],
    ['that of its class', mistral, { window: 4096 }],
    [
      'the names of the training library',
      { ...fla, num_kv_heads: 2, window_size: 8 },
      { window: 8 },
    ],
    ['biases', { ...fla, qkv_bias: true }, { qkvBias: true }],
  ])('%s', (_, json, layer) => {
    expect(parse(json).layers).toHaveLength(2)
    expect(parse(json).layers[1]).toMatchObject(layer)
  })

  test('the inner size follows from the width in the training library', () => {
    expect(parse({ ...fla, intermediate_size: null }).innerSize).toBe(256)
    expect(parse(fla).innerSize).toBe(64)
  })

  test.each<[Record<string, unknown>, string]>([
    [{ ...llama, rope_scaling: { type: 'linear' } }, 'rope_scaling.type'],
    [{ ...llama, rope_scaling: { rope_type: 'yarn', type: 'yarn' } }, 'rope_scaling.rope_type'],
    [{ ...llama, rope_parameters: { rope_type: 'llama3' } }, 'rope_parameters.rope_type'],
    [
      { ...llama, rope_parameters: { full_attention: { rope_theta: 1e6 } } },
      'rope_parameters.full_attention',
    ],
    [{ ...llama, attention_bias: true }, 'attention_bias'],
    [{ ...llama, mlp_bias: true }, 'mlp_bias'],
    [{ ...llama, hidden_act: 'gelu' }, 'hidden_act'],
    [{ ...llama, num_attention_heads: 5 }, 'hidden_size'],
    [{ ...llama, num_attention_heads: undefined }, 'num_attention_heads'],
    [{ ...llama, hidden_size: undefined }, 'hidden_size'],
    [{ ...mistral, num_key_value_heads: 3 }, 'num_key_value_heads'],
    [{ ...mistral, quantization_config: { bits: 4 } }, 'quantization_config'],
    [{ ...fla, qk_norm: true }, 'qk_norm'],
    [{ ...fla, num_kv_heads: 3 }, 'num_kv_heads'],
  ])('%j is refused for its %p', (json, key) => {
    expect(() => parse(json)).toThrow(CheckpointError)
    expect(() => parse(json)).toThrow(`config.json: ${key}: found `)
  })
})

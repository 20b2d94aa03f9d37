// Models with softmax layers and random weights against the float64 oracle: names, head geometries,
// biases, windows, angles and types of weights that no golden checkpoint has.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { type Expected, errorsOf, expectedOf } from '../helpers/against-oracle.ts'
import type { Json } from '../helpers/checkpoints.ts'
import { openTestGpu, variants } from '../helpers/gpu.ts'
import { randomTensors, writeModel } from '../helpers/random-model.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

const SMALL = { hidden_size: 64, intermediate_size: 96, num_hidden_layers: 2, vocab_size: 101 }
const HEADS = { ...SMALL, num_attention_heads: 8, num_key_value_heads: 4 }

const CASES: [what: string, dtype: string, config: Json][] = [
  [
    'llama, rope_theta 500000',
    'BF16',
    { model_type: 'llama', ...HEADS, rms_norm_eps: 1e-5, rope_theta: 500000 },
  ],
  [
    'llama, heads wider than hidden_size has room for',
    'BF16',
    { model_type: 'llama', ...HEADS, head_dim: 24, rms_norm_eps: 1e-6 },
  ],
  ['mistral, a window', 'BF16', { model_type: 'mistral', ...HEADS, sliding_window: 16 }],
  [
    'mistral, no window, tied, all in one key/value head',
    'F16',
    {
      ...{ model_type: 'mistral', ...HEADS, num_key_value_heads: 1 },
      ...{ sliding_window: null, tie_word_embeddings: true },
    },
  ],
  [
    'transformer, biases and a window',
    'BF16',
    {
      ...{ model_type: 'transformer', ...SMALL, num_heads: 8, num_kv_heads: 4 },
      ...{ qkv_bias: true, window_size: 50, norm_eps: 1e-5 },
    },
  ],
  [
    'transformer, nothing a power of two',
    'F32',
    {
      ...{ model_type: 'transformer', hidden_size: 60, intermediate_size: 100 },
      ...{ num_hidden_layers: 2, num_heads: 3, vocab_size: 299 },
    },
  ],
  [
    'GLA between softmax layers of other heads',
    'BF16',
    {
      ...{ model_type: 'gla', ...SMALL, num_hidden_layers: 3, num_heads: 4, num_kv_heads: 2 },
      ...{ expand_k: 0.5, feature_map: 'swish' },
      attn: { layers: [0, 2], num_heads: 8, num_kv_heads: 4, window_size: 16, qkv_bias: true },
    },
  ],
]

/** Shapes whose subgroup kernels software adapters take seconds to compile. */
const SLOW = [
  'llama, heads wider than hidden_size has room for',
  'transformer, nothing a power of two',
  'GLA between softmax layers of other heads',
]

const gpu = await openTestGpu()
const temp = await TempFolder.create()
afterAll(() => temp[Symbol.asyncDispose]())

describe.each(CASES)('%s', (what, dtype, config) => {
  const folder = join(temp.path, what.replaceAll('/', ' '))
  let expected: Expected

  beforeAll(async () => {
    await writeModel(folder, config, randomTensors(config, dtype))
    expected = await expectedOf(folder)
  })

  for (const variant of variants) {
    const skipped = variant === 'subgroup' && gpu.gpu.adapter.software && SLOW.includes(what)
    test.skipIf(skipped)(`${variant} kernels${skipped ? ', on GPUs' : ''}`, async () => {
      const errors = await errorsOf(gpu, folder, variant, expected)
      for (const error of Object.values(errors)) expect(error).toBeLessThan(1e-4)
    })
  }
})

// Sources as they come: names, biases, tied heads, scaled positions, heads of another width.
import { afterAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { parseModelConfig, type SoftmaxConfig } from '../../models/config.ts'
import { CheckpointError } from '../../src/errors.ts'
import type { Json, Tensors } from '../helpers/checkpoints.ts'
import { TempFolder } from '../helpers/temp-folder.ts'
import { planOf, type SourceOverrides, writeLlama } from './sources.ts'

const temp = await TempFolder.create()
afterAll(() => temp[Symbol.asyncDispose]())

let count = 0

async function plan(source: SourceOverrides, ...args: string[]) {
  const folder = join(temp.path, `${count++}`)
  await writeLlama(folder, source)
  return planOf(folder, args)
}

const HYBRID = ['--to', 'hybrid', '--softmax-layers', '1']

/** Biases on these projections of all layers. */
const biases = (projections: string) => (tensors: Tensors) => {
  for (const [name, { shape }] of Object.entries(tensors)) {
    const projection = /self_attn\.(.)_proj\.weight$/.exec(name)?.[1]
    if (projection === undefined || !projections.includes(projection)) continue
    const bias = { dtype: 'BF16', shape: [shape[0]], data: new Float32Array(shape[0]).fill(0.5) }
    tensors[name.replace('weight', 'bias')] = bias
  }
}

describe('biases', () => {
  test.each(['q', 'qkv', 'o'])('of %s are refused', async (projections) => {
    const made = plan({ tensors: biases(projections) }, '--to', 'gla')
    await expect(made).rejects.toThrow(CheckpointError)
    await expect(made).rejects.toThrow(
      `tensor model.layers.0.self_attn.${projections[0]}_proj.bias: `,
    )
    await expect(made).rejects.toThrow('no bias; --drop-bias leaves it out')
  })

  test('are left out if that is wanted', async () => {
    const source = { tensors: biases('qkvo'), config: { attention_bias: true } }
    const { tensors, dropped, notes } = await plan(source, '--to', 'gsa', '--drop-bias')
    expect(dropped).toHaveLength(12)
    expect(tensors.some(({ name }) => name.endsWith('bias'))).toBe(false)
    expect(notes).toEqual(['Biases of attention were left out.'])
  })

  test('go with the softmax layers of a hybrid', async () => {
    const refused = plan({ tensors: biases('qkv') }, ...HYBRID)
    await expect(refused).rejects.toThrow('model.layers.0.self_attn.q_proj.bias')
    const made = await plan({ tensors: biases('qkvo') }, ...HYBRID, '--drop-bias')
    // All of two layers, and that of the output of the third.
    expect(made.dropped).toHaveLength(9)
    const carried = made.tensors.filter(({ name }) => /[qkv]_proj\.bias$/.test(name))
    expect(carried.map(({ from }) => from?.name)).toEqual(
      ['q', 'k', 'v'].map((letter) => `model.layers.1.self_attn.${letter}_proj.bias`),
    )
    const { layers } = parseModelConfig(made.config, 'config.json')
    expect((layers[1] as SoftmaxConfig).qkvBias).toBe(true)
  })
})

describe('tied heads', () => {
  test('need no tensor', async () => {
    const { tensors, config } = await plan({ config: { tie_word_embeddings: true } }, '--to', 'gla')
    expect(config.tie_word_embeddings).toBe(true)
    expect(tensors.some(({ name }) => name === 'lm_head.weight')).toBe(false)
  })

  test('may have one, which is left out', async () => {
    const copy = (tensors: Tensors) => {
      tensors['lm_head.weight'] = tensors['model.embed_tokens.weight']
    }
    const source = { config: { tie_word_embeddings: true }, tensors: copy }
    expect((await plan(source, '--to', 'gla')).dropped).toEqual(['lm_head.weight'])
  })

  test('become heads of their own if that is wanted', async () => {
    const source = { config: { tie_word_embeddings: true } }
    const { tensors, config } = await plan(source, '--to', 'gla', '--untie')
    expect(config.tie_word_embeddings).toBe(false)
    const head = tensors.find(({ name }) => name === 'lm_head.weight')
    expect(head?.from?.name).toBe('model.embed_tokens.weight')
  })

  test('that config.json says nothing of', async () => {
    const untold = (tensors: Tensors) => {
      delete tensors['lm_head.weight']
    }
    const message = 'has no tensor lm_head.weight; expected with shape [4096, 64]'
    await expect(plan({ tensors: untold }, '--to', 'gla')).rejects.toThrow(
      `${message}; config.json does not say that it is tied`,
    )
  })
})

test('saved angles are left out', async () => {
  const angles = (tensors: Tensors) => {
    const data = new Float32Array(4)
    tensors['model.layers.0.self_attn.rotary_emb.inv_freq'] = { dtype: 'F32', shape: [4], data }
  }
  const { dropped } = await plan({ tensors: angles }, '--to', 'gla')
  expect(dropped).toEqual(['model.layers.0.self_attn.rotary_emb.inv_freq'])
})

describe('scaled positions', () => {
  const scaled: [string, Json][] = [
    ['llama3', { rope_scaling: { rope_type: 'llama3', factor: 8 } }],
    ['linear', { rope_scaling: { type: 'linear', factor: 2 } }],
    ['yarn', { rope_parameters: { rope_type: 'yarn', rope_theta: 1e6 } }],
  ]

  test.each(scaled)('%s go with the positions', async (name, config) => {
    const { notes, source } = await plan({ config }, '--to', 'gla')
    expect(notes).toEqual([`Positions are gone, without the scaling ${name}.`])
    expect(source.unserved).toContain('scaled rotary positions are not supported')
  })

  test.each(scaled)('%s cannot stay in a hybrid, but be dropped', async (name, config) => {
    const message = `scales rotary positions (${name}), which softmax layers of FLA cannot`
    await expect(plan({ config }, ...HYBRID)).rejects.toThrow(message)
    const { notes, config: made } = await plan({ config }, ...HYBRID, '--drop-rope-scaling')
    expect(notes).toEqual([`Softmax layers have plain positions, without the scaling ${name}.`])
    expect(made.attn).toMatchObject({ rope_theta: name === 'yarn' ? 1e6 : 500000 })
  })

  test.each(['gla', 'gsa', 'hybrid'])('plain ones in their older spelling: %s', async (kind) => {
    const config = { rope_scaling: { type: 'default' } }
    const args = kind === 'hybrid' ? HYBRID : ['--to', kind]
    const { notes, source } = await plan({ config }, ...args)
    expect(notes).toEqual([])
    expect(source).toMatchObject({ unserved: undefined, attention: { ropeTheta: 500000 } })
  })

  test('plain ones in their newer spelling can', async () => {
    const config = {
      rope_theta: undefined,
      rope_parameters: { rope_type: 'default', rope_theta: 9 },
    }
    const { notes, config: made } = await plan({ config }, ...HYBRID)
    expect(notes).toEqual([])
    expect(made.attn).toMatchObject({ rope_theta: 9 })
  })
})

describe('heads that are not as wide as the model', () => {
  const source = { config: { head_dim: 12 } }

  test('are wider heads of GLA', async () => {
    const { config } = await plan(source, '--to', 'gla')
    expect(config).toMatchObject({ expand_k: 1.5, expand_v: 1.5 })
    const [layer] = parseModelConfig(config, 'config.json').layers
    expect(layer).toMatchObject({ keyDim: 12, valueDim: 12 })
  })

  test('however the ratio is rounded', async () => {
    // 22 · (30 / 22) is less than 30 in float64.
    const odd = { hidden_size: 22, num_attention_heads: 5, num_key_value_heads: 5, head_dim: 6 }
    const { config } = await plan({ config: odd }, '--to', 'gla')
    expect(parseModelConfig(config, 'config.json').layers[0]).toMatchObject({ keyDim: 6 })
  })

  test.each([[['--to', 'gsa']], [HYBRID]])('cannot be had by %j', async (args) => {
    const made = plan(source, ...args)
    await expect(made).rejects.toThrow('8 heads of 12 channels are not as wide as hidden_size 64')
  })
})

test("FLA's own transformer", async () => {
  const config = {
    ...{ model_type: 'transformer', num_heads: 8, num_kv_heads: 4, norm_eps: 1e-6 },
    ...{ window_size: 32, qkv_bias: false },
  }
  const { tensors, config: made } = await plan({ config }, ...HYBRID)
  const q = tensors.find(({ name }) => name === 'model.layers.0.attn.q_proj.weight')
  expect(q?.from?.name).toBe('model.layers.0.attn.q_proj.weight')
  expect(made).toMatchObject({ norm_eps: 1e-6, attn: { window_size: 32 } })
})

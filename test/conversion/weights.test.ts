// The bytes of a converted model: copies are copies, new weights are those of their seed.
import { afterAll, describe, expect, test } from 'bun:test'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseModelConfig } from '../../models/config.ts'
import { mapTensors } from '../../models/tensors.ts'
import { openCheckpoint } from '../../src/loader/checkpoint.ts'
import { type Dtype, decode } from '../../src/loader/convert.ts'
import {
  readTensors,
  type TensorData,
  type Tensors,
  writeJson,
  writeShards,
} from '../helpers/checkpoints.ts'
import { TempFolder } from '../helpers/temp-folder.ts'
import { convertFolder, LLAMA, writeLlama } from './sources.ts'

const temp = await TempFolder.create()
afterAll(() => temp[Symbol.asyncDispose]())
const llama = join(temp.path, 'llama')
await writeLlama(llama)
const source = await readTensors(llama)

let count = 0

async function converted(args: readonly string[], from = llama): Promise<Tensors> {
  const out = join(temp.path, `out-${count++}`)
  await convertFolder(from, out, args)
  // It is whole: every tensor has its place, and nothing is left over.
  await using checkpoint = await openCheckpoint(out)
  mapTensors(parseModelConfig(checkpoint.config, checkpoint.configFile), checkpoint)
  return readTensors(out)
}

const bytesOf = ({ data }: TensorData) => new Uint8Array(data as Uint8Array)
const valuesOf = ({ data, dtype }: TensorData) => decode(data as Uint8Array, dtype as Dtype)

/** From a name of the new model to that in the source. */
const COPIES: [string, string][] = [
  ['model.embeddings.weight', 'model.embed_tokens.weight'],
  ['model.layers.1.attn_norm.weight', 'model.layers.1.input_layernorm.weight'],
  ['model.layers.1.attn.q_proj.weight', 'model.layers.1.self_attn.q_proj.weight'],
  ['model.layers.1.attn.k_proj.weight', 'model.layers.1.self_attn.k_proj.weight'],
  ['model.layers.1.attn.v_proj.weight', 'model.layers.1.self_attn.v_proj.weight'],
  ['model.layers.1.attn.o_proj.weight', 'model.layers.1.self_attn.o_proj.weight'],
  ['model.layers.1.mlp_norm.weight', 'model.layers.1.post_attention_layernorm.weight'],
  ['model.layers.1.mlp.gate_proj.weight', 'model.layers.1.mlp.gate_proj.weight'],
  ['model.layers.1.mlp.up_proj.weight', 'model.layers.1.mlp.up_proj.weight'],
  ['model.layers.1.mlp.down_proj.weight', 'model.layers.1.mlp.down_proj.weight'],
  ['model.norm.weight', 'model.norm.weight'],
  ['lm_head.weight', 'lm_head.weight'],
]

describe('copies', () => {
  test('are equal byte by byte', async () => {
    const tensors = await converted(['--to', 'gla'])
    for (const [to, from] of COPIES) expect(tensors[to]).toEqual(source[from])
  })

  test.each(['float32', 'float16', 'bfloat16'])('as %s: rounded to the nearest', async (dtype) => {
    const tensors = await converted(['--to', 'gsa', '--dtype', dtype])
    for (const [to, from] of COPIES) {
      const values = valuesOf(source[from])
      // What is bfloat16 has its place in float32, and above its smallest numbers in float16.
      const round = dtype === 'float16' ? Math.f16round : (value: number) => value
      expect(valuesOf(tensors[to])).toEqual(values.map(round))
    }
  })
})

describe('new weights', () => {
  const GATE = 'model.layers.0.attn.gk_proj.1.weight'

  test('are normal, biases zero, norms one', async () => {
    const tensors = await converted(['--to', 'gla', '--output-gate', '--short-conv'])
    for (const name of ['g_proj.weight', 'gk_proj.0.weight', 'q_conv1d.weight']) {
      const values = valuesOf(tensors[`model.layers.2.attn.${name}`])
      const mean = values.reduce((a, b) => a + b, 0) / values.length
      const std = Math.sqrt(values.reduce((a, b) => a + b * b, 0) / values.length)
      // Five standard errors of each.
      expect(Math.abs(mean)).toBeLessThan((5 * 0.02) / Math.sqrt(values.length))
      expect(Math.abs(std / 0.02 - 1)).toBeLessThan(5 / Math.sqrt(2 * values.length))
    }
    expect(new Set(valuesOf(tensors['model.layers.0.attn.gk_proj.1.bias']))).toEqual(new Set([0]))
    const norm = tensors['model.layers.0.attn.g_norm_swish_gate.weight']
    expect(norm.shape).toEqual([8])
    expect(new Set(valuesOf(norm))).toEqual(new Set([1]))
  })

  test('are those of the seed, which no two tensors share', async () => {
    const [first, again, other] = [
      await converted(['--to', 'gla']),
      await converted(['--to', 'gla', '--seed', '42']),
      await converted(['--to', 'gla', '--seed', '7']),
    ]
    expect(again).toEqual(first)
    expect(bytesOf(other[GATE])).not.toEqual(bytesOf(first[GATE]))
    expect(bytesOf(first[GATE.replace('.0.', '.1.')])).not.toEqual(bytesOf(first[GATE]))
    expect(other['model.norm.weight']).toEqual(first['model.norm.weight'])
    // Fixed for all time: conversions of another day can be repeated.
    const values = [0.0380859375, -0.0341796875, -0.02880859375, -0.01470947265625]
    expect([...valuesOf(first[GATE]).subarray(0, 4)]).toEqual(values)
  })

  test('have a finer type of the same numbers', async () => {
    const [half, single] = [
      await converted(['--to', 'gla']),
      await converted(['--to', 'gla', '--dtype', 'float32']),
    ]
    const [coarse, fine] = [valuesOf(half[GATE]), valuesOf(single[GATE])]
    for (const [i, value] of fine.entries()) {
      expect(Math.abs(coarse[i] - value)).toBeLessThanOrEqual(Math.abs(value) / 256)
    }
  })
})

describe('shards', () => {
  test('of the source make no difference', async () => {
    const sharded = join(temp.path, 'sharded')
    await writeShards(sharded, source, 3)
    await writeJson(join(sharded, 'config.json'), LLAMA)
    expect(await converted(['--to', 'gla'], sharded)).toEqual(await converted(['--to', 'gla']))
  })

  test('of the result make no difference, and none is too large', async () => {
    const out = join(temp.path, 'shards')
    const args = ['--to', 'gla', '--max-shard-size', '100kB']
    const { bytes } = await convertFolder(llama, out, args)
    const files = (await readdir(out)).filter((name) => name.endsWith('.safetensors')).sort()
    expect(files.length).toBeGreaterThan(3)
    expect(files[0]).toBe(`model-00001-of-${`${files.length}`.padStart(5, '0')}.safetensors`)
    const index = await Bun.file(join(out, 'model.safetensors.index.json')).json()
    expect(index.metadata.total_size).toBe(bytes)
    expect(new Set(Object.values(index.weight_map))).toEqual(new Set(files))
    expect(await readTensors(out)).toEqual(await converted(['--to', 'gla']))
  })
})

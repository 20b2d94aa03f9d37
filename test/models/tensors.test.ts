// Tensors to roles: the golden and shipped models, and every stored layout of old checkpoints.

import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { parseModelConfig } from '../../models/config.ts'
import {
  type GlaTensors,
  type ModelTensors,
  mapTensors,
  type TensorSource,
} from '../../models/tensors.ts'
import { openCheckpoint } from '../../src/loader/checkpoint.ts'
import { readVector } from '../../src/loader/tensor-source.ts'
import {
  type Json,
  readTensors,
  type Tensors,
  writeJson,
  writeSafetensors,
} from '../helpers/checkpoints.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

const ROOT = join(import.meta.dir, '../..')
const GOLDEN = join(ROOT, 'test/fixtures/golden')
const HYBRID = join(ROOT, 'models/checkpoints/tales-gla-hybrid-5m')

/** Maps a folder's checkpoint and hands it to `use` while it is open. */
async function mapped<T>(folder: string, use: (model: ModelTensors) => Promise<T> | T): Promise<T> {
  await using checkpoint = await openCheckpoint(folder)
  const config = parseModelConfig(checkpoint.config, checkpoint.configFile)
  return await use(mapTensors(config, checkpoint))
}

/** Shapes under dotted roles, `0.mixer.q` being one of layer 0. */
function sources(model: ModelTensors): Map<string, TensorSource> {
  const found = new Map<string, TensorSource>()
  const visit = (value: unknown, path: string) => {
    if (typeof value !== 'object' || value === null) return
    if ('readRows' in value) found.set(path, value as TensorSource)
    else
      for (const [key, inner] of Object.entries(value))
        visit(inner, path === '' ? key : `${path}.${key}`)
  }
  const { config: _, layers, ...outer } = model
  visit(outer, '')
  visit(layers, '')
  return found
}

function shapes(model: ModelTensors): Record<string, readonly number[]> {
  return Object.fromEntries([...sources(model)].map(([role, { shape }]) => [role, shape]))
}

/** All bytes of all roles. */
async function contents(model: ModelTensors): Promise<Record<string, Uint8Array>> {
  const all: Record<string, Uint8Array> = {}
  for (const [role, source] of sources(model)) {
    all[role] = await source.readRows(0, source.shape[0])
  }
  return all
}

/** A copy of a golden checkpoint with its tensors and configuration changed. */
async function variant(
  folder: string,
  golden: string,
  change: (tensors: Tensors) => void,
  config: Json = {},
): Promise<void> {
  const tensors = await readTensors(join(GOLDEN, golden))
  change(tensors)
  await writeSafetensors(join(folder, 'model.safetensors'), tensors)
  const json = await Bun.file(join(GOLDEN, golden, 'config.json')).json()
  await writeJson(join(folder, 'config.json'), { ...json, ...config })
}

function rename(tensors: Tensors, from: string, to: string): void {
  for (const name of Object.keys(tensors)) {
    if (!name.includes(from)) continue
    tensors[name.replace(from, to)] = tensors[name]
    delete tensors[name]
  }
}

const MLP = { mlpNorm: [64], gate: [96, 64], up: [96, 64], down: [64, 96] }

function layer(index: number, mixer: Record<string, number[]>, mlp = MLP, norm = true) {
  const entries = Object.entries(mixer).map(([role, shape]) => [`${index}.mixer.${role}`, shape])
  const rest = Object.entries(mlp).map(([role, shape]) => [`${index}.${role}`, shape])
  const mixerNorm = norm ? [[`${index}.mixerNorm`, [64]]] : []
  return Object.fromEntries([...mixerNorm, ...entries, ...rest])
}

const OUTER = { embeddings: [97, 64], finalNorm: [64], lmHead: [97, 64] }
const QKVO = { q: [64, 64], k: [32, 64], v: [32, 64], output: [64, 64] }
const GATE = { gateDown: [16, 64], gateUp: [32, 16], gateBias: [32] }
const GLA = { ...QKVO, ...GATE, outputNorm: [16] }
const GSA = { ...QKVO, gate: [32, 64], outputNorm: [64] }

describe('golden models', () => {
  const { lmHead: _, ...tied } = OUTER
  const conv = {
    q: [32, 64],
    k: [16, 64],
    v: [32, 64],
    output: [64, 64],
    gateDown: [16, 64],
    gateUp: [16, 16],
    gateBias: [16],
    outputGate: [64, 64],
    outputNorm: [16],
    convQ: [32, 4],
    convK: [16, 4],
    convV: [32, 4],
  }
  const t2r = {
    q: [64, 64],
    k: [64, 64],
    v: [64, 64],
    output: [64, 64],
    gate: [64, 64],
    outputNorm: [64],
    t2r: [16, 16],
    convQ: [64, 3],
    convK: [64, 3],
    convV: [64, 3],
  }
  const wide = { ...MLP, gate: [256, 64], up: [256, 64], down: [64, 256] }
  const gated = { ...GLA, outputGate: [64, 64] }
  const biased = { ...QKVO, qBias: [64], kBias: [32], vBias: [32] }
  const oneKvHead = { ...QKVO, k: [16, 64], v: [16, 64] }

  test.each<[string, Record<string, readonly number[]>]>([
    ['gla', { ...OUTER, ...layer(0, GLA), ...layer(1, GLA) }],
    ['gla_conv', { ...tied, ...layer(0, conv, wide), ...layer(1, conv, wide) }],
    ['gsa', { ...OUTER, ...layer(0, GSA), ...layer(1, GSA) }],
    ['gsa_legacy', { ...OUTER, ...layer(0, GSA), ...layer(1, GSA) }],
    ['gsa_conv_t2r', { ...OUTER, ...layer(0, t2r), ...layer(1, t2r) }],
    ['hybrid', { ...OUTER, ...layer(0, gated), ...layer(1, biased), ...layer(2, gated) }],
    ['hybrid_list', { ...OUTER, ...layer(0, QKVO), ...layer(1, GSA), ...layer(2, oneKvHead) }],
  ])('%s', async (name, expected) => {
    expect(await mapped(join(GOLDEN, name), shapes)).toEqual(expected)
  })
})

test.each(['tales-gla-5m', 'tales-gsa-5m'])('%s maps whole', async (name) => {
  const folder = join(ROOT, 'models/checkpoints', name)
  const roles = await mapped(folder, (model) => sources(model).size)
  expect(roles).toBe(Object.keys(await readTensors(folder)).length)
})

test('tales-gla-hybrid-5m maps whole', async () => {
  const kinds = await mapped(HYBRID, (model) => model.layers.map(({ mixer }) => mixer.kind))
  expect(kinds).toEqual(['gla', 'gla', 'softmax', 'gla', 'gla', 'softmax'])
})

describe('old layouts come out as the new one', () => {
  test('packed gate and up, norms inside the sub-layers', async () => {
    const legacy = await mapped(join(GOLDEN, 'gsa_legacy'), contents)
    expect(legacy).toEqual(await mapped(join(GOLDEN, 'gsa'), contents))
  })

  test('parts of packed matrices say which rows they are', async () => {
    const names = await mapped(join(GOLDEN, 'gsa_legacy'), ({ layers }) => [
      layers[1].gate.name,
      layers[1].up.name,
    ])
    expect(names).toEqual([
      'model.layers.1.mlp.gate_proj.weight[0:96]',
      'model.layers.1.mlp.gate_proj.weight[96:192]',
    ])
  })

  test.each<[string, string, (tensors: Tensors) => void]>([
    [
      'first names of GLA',
      'gla',
      (tensors) => {
        rename(tensors, 'embeddings', 'embed_tokens')
        rename(tensors, 'attn_norm', 'gla_norm')
      },
    ],
    ['the other name of the output norm', 'gla', (t) => rename(t, 'g_norm', 'g_norm_swish_gate')],
    ['without the gated one', 'gla_conv', (t) => rename(t, 'g_norm_swish_gate', 'g_norm')],
    ['no prefix', 'gla', (tensors) => rename(tensors, 'model.', '')],
    [
      'rotary buffers',
      'hybrid',
      (tensors) => {
        const data = new Float32Array(8)
        tensors['model.layers.1.attn.rotary.inv_freq'] = { dtype: 'F32', shape: [8], data }
      },
    ],
    [
      'a copy of the embeddings as tied head',
      'gla_conv',
      (tensors) => {
        tensors['lm_head.weight'] = tensors['model.embeddings.weight']
      },
    ],
  ])('%s', async (_, golden, change) => {
    await using temp = await TempFolder.create()
    await variant(temp.path, golden, change)
    expect(await mapped(temp.path, contents)).toEqual(await mapped(join(GOLDEN, golden), contents))
  })

  test('a softmax layer without a norm in front, with norm_first only', async () => {
    await using temp = await TempFolder.create()
    const drop = (tensors: Tensors) => {
      delete tensors['model.layers.0.attn_norm.weight']
    }
    await variant(temp.path, 'hybrid_list', drop, { norm_first: true })
    const norms = await mapped(temp.path, ({ layers }) =>
      layers.map(({ mixerNorm }) => mixerNorm?.name),
    )
    expect(norms).toEqual([
      undefined,
      'model.layers.1.attn_norm.weight',
      'model.layers.2.attn_norm.weight',
    ])
    await variant(temp.path, 'hybrid_list', drop)
    await expect(mapped(temp.path, shapes)).rejects.toThrow(
      'has no tensor model.layers.0.attn_norm',
    )
  })

  test('biases of convolutions', async () => {
    await using temp = await TempFolder.create()
    await variant(temp.path, 'gla_conv', (tensors) => {
      for (const [x, channels] of [
        ['q', 32],
        ['k', 16],
        ['v', 32],
      ] as const) {
        const data = new Float32Array(channels).fill(0.5)
        tensors[`model.layers.1.attn.${x}_conv1d.bias`] = { dtype: 'F32', shape: [channels], data }
      }
    })
    expect(await mapped(temp.path, shapes)).toMatchObject({
      '1.mixer.convQBias': [32],
      '1.mixer.convKBias': [16],
      '1.mixer.convVBias': [32],
    })
  })

  test('another gate rank', async () => {
    await using temp = await TempFolder.create()
    await variant(temp.path, 'gla', (tensors) => {
      for (const i of [0, 1]) {
        const path = `model.layers.${i}.attn.gk_proj`
        tensors[`${path}.0.weight`] = { dtype: 'F32', shape: [8, 64], data: new Float32Array(512) }
        tensors[`${path}.1.weight`] = { dtype: 'F32', shape: [32, 8], data: new Float32Array(256) }
      }
    })
    const config = await mapped(temp.path, (model) => model.config)
    expect(config.layers).toMatchObject([{ gateRank: 8 }, { gateRank: 8 }])
  })

  test('an output norm without weights', async () => {
    await using temp = await TempFolder.create()
    const drop = (tensors: Tensors) => {
      for (const i of [0, 1]) delete tensors[`model.layers.${i}.attn.g_norm.weight`]
    }
    await variant(temp.path, 'gla', drop, { elementwise_affine: false })
    const roles = await mapped(temp.path, shapes)
    expect(roles).not.toHaveProperty(['0.mixer.outputNorm'])
    await variant(temp.path, 'gla', drop)
    await expect(mapped(temp.path, shapes)).rejects.toThrow('has no tensor')
  })
})

describe('a gate for every query head', () => {
  test('k, v and their convolutions are repeated, head by head', async () => {
    await using temp = await TempFolder.create()
    await variant(temp.path, 'gla_conv', (tensors) => {
      for (const i of [0, 1]) {
        for (const [name, width] of [
          ['1.weight', 16],
          ['1.bias', 1],
        ] as const) {
          const tensor = tensors[`model.layers.${i}.attn.gk_proj.${name}`]
          const data = new Float32Array(32 * width).map((_, index) => index)
          tensors[`model.layers.${i}.attn.gk_proj.${name}`] = {
            dtype: 'BF16',
            shape: [32, ...tensor.shape.slice(1)],
            data,
          }
        }
        for (const [x, channels] of [
          ['q', 32],
          ['k', 16],
          ['v', 32],
        ] as const) {
          const data = Float32Array.from({ length: channels }, (_, channel) => channel)
          const name = `model.layers.${i}.attn.${x}_conv1d.bias`
          tensors[name] = { dtype: 'F32', shape: [channels], data }
        }
      }
    })
    const plain = await mapped(join(GOLDEN, 'gla_conv'), contents)
    await mapped(temp.path, async (model) => {
      expect(model.config.layers).toMatchObject([
        { heads: 4, kvHeads: 4, keyDim: 8, valueDim: 16 },
        { heads: 4, kvHeads: 4 },
      ])
      const repeated = await contents(model)
      // Query heads 0 and 1 had key/value head 0, heads 2 and 3 had head 1.
      for (const [role, headBytes] of [
        ['0.mixer.k', 8 * 64 * 2],
        ['0.mixer.v', 16 * 64 * 2],
        ['1.mixer.convK', 8 * 4 * 2],
        ['1.mixer.convV', 16 * 4 * 2],
      ] as const) {
        const heads = [0, 0, 1, 1].map((h) =>
          plain[role].subarray(h * headBytes, (h + 1) * headBytes),
        )
        expect(repeated[role]).toEqual(new Uint8Array(Buffer.concat(heads)))
      }
      const bias = (model.layers[0].mixer as GlaTensors).convKBias!
      const channels = [...Array(16).keys()]
      expect([...(await readVector(bias))]).toEqual([
        ...channels.slice(0, 8),
        ...channels.slice(0, 8),
        ...channels.slice(8),
        ...channels.slice(8),
      ])
      expect(repeated['0.mixer.q']).toEqual(plain['0.mixer.q'])
      expect(repeated['0.mixer.output']).toEqual(plain['0.mixer.output'])
      expect(shapes(model)).toMatchObject({
        '0.mixer.k': [32, 64],
        '0.mixer.v': [64, 64],
        '0.mixer.gateUp': [32, 16],
        '0.mixer.gateBias': [32],
        '0.mixer.convK': [32, 4],
      })
    })
  })

  test('the configuration handed in stays as it was', async () => {
    await using checkpoint = await openCheckpoint(join(GOLDEN, 'gla'))
    const config = parseModelConfig(checkpoint.config, checkpoint.configFile)
    const before = structuredClone(config)
    mapTensors(config, checkpoint)
    expect(config).toEqual(before)
  })
})

// config.json to ModelConfig: the golden and shipped models, defaults, and old spellings.

import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import {
  type GlaConfig,
  type GsaConfig,
  type ModelConfig,
  parseModelConfig,
  type SoftmaxConfig,
} from '../../models/config.ts'
import { CheckpointError } from '../../src/errors.ts'

const ROOT = join(import.meta.dir, '../..')

const GLA: GlaConfig = {
  kind: 'gla',
  heads: 4,
  kvHeads: 2,
  keyDim: 16,
  valueDim: 16,
  featureMap: 'identity',
  outputGate: true,
  clampMin: undefined,
  gateNormalizer: 16,
  gateRank: 16,
  convSize: 0,
  outputNormEps: 1e-6,
  outputNormWeight: true,
}

const GSA: GsaConfig = {
  kind: 'gsa',
  heads: 4,
  kvHeads: 2,
  keyDim: 16,
  valueDim: 16,
  slots: 16,
  featureMap: 'swish',
  gateNormalizer: 8,
  convSize: 0,
  outputNormEps: 1e-5,
  outputNormWeight: true,
}

const SOFTMAX: SoftmaxConfig = {
  kind: 'softmax',
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  qkvBias: false,
  window: undefined,
  ropeTheta: 10000,
}

const MODEL: ModelConfig = {
  modelType: 'gla',
  hiddenSize: 64,
  innerSize: 96,
  vocabSize: 97,
  normEps: 1e-6,
  tiedEmbeddings: false,
  layers: [],
  maxPositions: 2048,
  legacyNormFirst: false,
}

const TALES = {
  hiddenSize: 256,
  innerSize: 704,
  vocabSize: 4096,
  normEps: 1e-5,
  tiedEmbeddings: true,
}
const TALES_GLA: GlaConfig = {
  ...GLA,
  keyDim: 64,
  valueDim: 64,
  featureMap: 'relu',
  outputGate: false,
  outputNormEps: 1e-5,
}
const TALES_GSA: GsaConfig = { ...GSA, keyDim: 64, valueDim: 64, slots: 32, featureMap: 'relu' }
const TALES_SOFTMAX: SoftmaxConfig = { ...SOFTMAX, headDim: 64, window: 256 }

const GLA_LIKE_7B: GlaConfig = {
  ...GLA,
  featureMap: 'relu',
  outputGate: false,
  outputNormEps: 1e-5,
}
const GLA_CONV: GlaConfig = { ...GLA, keyDim: 8, convSize: 4, clampMin: -0.25 }
const GSA_T2R: GsaConfig = { ...GSA, kvHeads: 4, featureMap: 't2r', gateNormalizer: 4, convSize: 3 }

const GOLDEN = 'test/fixtures/golden'
const SHIPPED = 'models/checkpoints'

/** Folder, then what its config.json must give. */
const KNOWN: [string, ModelConfig][] = [
  [`${GOLDEN}/gla`, { ...MODEL, normEps: 1e-5, layers: [GLA_LIKE_7B, GLA_LIKE_7B] }],
  [
    `${GOLDEN}/gla_conv`,
    { ...MODEL, innerSize: 256, tiedEmbeddings: true, layers: [GLA_CONV, GLA_CONV] },
  ],
  [`${GOLDEN}/gsa`, { ...MODEL, modelType: 'gsa', layers: [GSA, GSA] }],
  [
    `${GOLDEN}/gsa_legacy`,
    { ...MODEL, modelType: 'gsa', legacyNormFirst: true, layers: [GSA, GSA] },
  ],
  [
    `${GOLDEN}/gsa_conv_t2r`,
    { ...MODEL, modelType: 'gsa', normEps: 1e-5, layers: [GSA_T2R, GSA_T2R] },
  ],
  [
    `${GOLDEN}/hybrid`,
    { ...MODEL, layers: [GLA, { ...SOFTMAX, qkvBias: true, window: 32, ropeTheta: 500000 }, GLA] },
  ],
  [
    `${GOLDEN}/hybrid_list`,
    {
      ...MODEL,
      modelType: 'gsa',
      normEps: 1e-5,
      layers: [
        { ...SOFTMAX, heads: 8, kvHeads: 4, headDim: 8 },
        { ...GSA, featureMap: 'relu' },
        { ...SOFTMAX, kvHeads: 1, window: 16 },
      ],
    },
  ],
  [`${SHIPPED}/tales-gla-5m`, { ...MODEL, ...TALES, layers: Array(6).fill(TALES_GLA) }],
  [
    `${SHIPPED}/tales-gsa-5m`,
    { ...MODEL, ...TALES, modelType: 'gsa', layers: Array(6).fill(TALES_GSA) },
  ],
]

test.each(KNOWN)('%s', async (folder, expected) => {
  const file = join(ROOT, folder, 'config.json')
  expect(parseModelConfig(await Bun.file(file).json(), file)).toEqual(expected)
})

test('the shipped hybrid', async () => {
  const file = join(ROOT, 'models/checkpoints/tales-gla-hybrid-5m/config.json')
  const layers = Array<GlaConfig | SoftmaxConfig>(6).fill(TALES_GLA)
  layers[2] = TALES_SOFTMAX
  layers[5] = TALES_SOFTMAX
  expect(parseModelConfig(await Bun.file(file).json(), file)).toEqual({
    ...MODEL,
    ...TALES,
    layers,
  })
})

function parse(json: Record<string, unknown>): ModelConfig {
  return parseModelConfig(json, 'config.json')
}

function firstLayer(json: Record<string, unknown>) {
  return parse(json).layers[0]
}

describe('defaults', () => {
  test('of GLA', () => {
    const config = parse({ model_type: 'gla' })
    expect(config.layers).toHaveLength(24)
    expect({ ...config, layers: config.layers.slice(0, 1) }).toEqual({
      modelType: 'gla',
      hiddenSize: 2048,
      innerSize: 5632,
      vocabSize: 32000,
      normEps: 1e-6,
      tiedEmbeddings: false,
      maxPositions: undefined,
      legacyNormFirst: false,
      layers: [{ ...GLA, heads: 4, kvHeads: 4, keyDim: 256, valueDim: 512 }],
    })
  })

  test('of GSA', () => {
    const expected = { ...GSA, heads: 4, kvHeads: 4, keyDim: 512, valueDim: 512, slots: 64 }
    expect(firstLayer({ model_type: 'gsa' })).toEqual(expected)
  })

  test.each([
    [1024, 2816],
    [2048, 5632],
    [4096, 11008],
  ])('hidden_size %d gives intermediate_size %d', (hidden_size, innerSize) => {
    expect(parse({ model_type: 'gla', hidden_size, hidden_ratio: null }).innerSize).toBe(innerSize)
  })
})

describe('keys', () => {
  const gla = { model_type: 'gla', hidden_size: 96, num_heads: 4, expand_k: 1 }
  const gsa = { model_type: 'gsa', hidden_size: 96, num_heads: 4 }

  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['heads of size 24', gla, { keyDim: 24, valueDim: 24 }],
    ['int() of the key channels', { ...gla, hidden_size: 100, expand_k: 0.845 }, { keyDim: 21 }],
    ['expand_v', { ...gla, expand_v: 2 }, { valueDim: 48 }],
    ['the misspelt expand_k', { ...gsa, exapnd_k: 0.5, exapnd_v: 1 }, { keyDim: 12, valueDim: 24 }],
    ['expand_k wins over it', { ...gsa, exapnd_k: 0.5, expand_k: 2 }, { keyDim: 48 }],
    ['num_attention_heads', { ...gla, num_heads: undefined, num_attention_heads: 8 }, { heads: 8 }],
    ['num_heads wins over it', { ...gla, num_attention_heads: 8 }, { heads: 4 }],
    ['null num_kv_heads', { ...gla, num_kv_heads: null }, { kvHeads: 4 }],
    ['silu is swish', { ...gla, feature_map: 'silu' }, { featureMap: 'swish' }],
    ['null map', { ...gla, feature_map: null }, { featureMap: 'identity' }],
    ['norm without weights', { ...gla, elementwise_affine: false }, { outputNormWeight: false }],
    [
      "GLA's normalizer cannot be set",
      { ...gla, gate_logit_normalizer: 4 },
      { gateNormalizer: 16 },
    ],
    ["GSA's can", { ...gsa, gate_logit_normalizer: 16 }, { gateNormalizer: 16 }],
    ['null slots: as many as key channels', { ...gsa, num_slots: null }, { slots: 24 }],
    ['conv_size', { ...gla, use_short_conv: true, conv_size: 3 }, { convSize: 3 }],
    ['conv_size by default', { ...gla, use_short_conv: true }, { convSize: 4 }],
    ['conv_size without convolutions', { ...gla, conv_size: 1 }, { convSize: 0 }],
    ['rms_norm_eps', { ...gla, rms_norm_eps: 1e-4 }, { outputNormEps: 1e-4 }],
    [
      'norm_eps wins over it',
      { ...gla, rms_norm_eps: 1e-4, norm_eps: 1e-3 },
      { outputNormEps: 1e-3 },
    ],
    ["GSA's output norm keeps its own", { ...gsa, norm_eps: 1e-3 }, { outputNormEps: 1e-5 }],
  ])('%s', (_, json, expected) => {
    expect(firstLayer(json)).toMatchObject(expected)
  })

  test('GSA ignores a clamp and an output gate', () => {
    expect(parse({ ...gsa, clamp_min: -1, use_output_gate: true })).toEqual(parse(gsa))
  })

  test('keys that change nothing are accepted', () => {
    const extra = {
      attn_mode: 'fused_chunk',
      fuse_norm: false,
      fuse_swiglu: true,
      use_gk: true,
      use_gv: false,
      use_l2warp: false,
      use_rope: false,
      share_conv_kernel: true,
      gate_low_rank_dim: 16,
      attnres_block_size: null,
      hidden_act: 'silu',
      torch_dtype: 'bfloat16',
      transformers_version: '4.40.0',
    }
    expect(parse({ ...gla, ...extra })).toEqual(parse(gla))
  })

  test('attn takes its defaults from itself', () => {
    const config = parse({ ...gla, num_hidden_layers: 2, attn: { layers: [1], num_heads: 6 } })
    expect(config.layers[1]).toEqual({ ...SOFTMAX, heads: 6, kvHeads: 6, headDim: 16 })
    expect(config.layers[0].kind).toBe('gla')
  })
})

describe('any value of any key', () => {
  const values = [
    undefined,
    null,
    true,
    0,
    1,
    -1,
    0.5,
    3,
    1e9,
    1e300,
    '',
    'relu',
    [],
    [1],
    {},
    [{}],
  ]
  const bases = KNOWN.map(([folder]) => folder).filter((folder) => folder.startsWith(GOLDEN))

  test.each(bases)('in %s gives a usable configuration or one line', async (folder) => {
    const json = await Bun.file(join(ROOT, folder, 'config.json')).json()
    for (const key of [...Object.keys(json), 'attn', 'conv_size', 'rms_norm_eps', 'clamp_min']) {
      for (const value of values) {
        try {
          const { layers, ...sizes } = parse({ ...json, [key]: value })
          expect(sizes.innerSize).toBeGreaterThan(0)
          for (const layer of layers) {
            expect(layer.heads % layer.kvHeads).toBe(0)
            const dim = layer.kind === 'softmax' ? layer.headDim : layer.keyDim
            expect(dim).toBeGreaterThan(0)
            expect(dim).toBe(Math.trunc(dim))
          }
        } catch (error) {
          expect(error).toBeInstanceOf(CheckpointError)
          expect((error as Error).message).toStartWith('config.json: ')
          expect((error as Error).message).not.toContain('\n')
        }
      }
    }
  })
})

// The model configuration: what of config.json decides the computation, under names of our own.
// Key by key it follows what the training library assumed, including its oddities.

import type { GlaFeatureMap, GsaFeatureMap } from '../src/gpu/ops/prepare.ts'
import { checkSchema, wrongValue } from '../src/loader/schema.ts'
import {
  type CommonKeys,
  convSizeSchema,
  type GlaKeys,
  type GsaKeys,
  glaSchema,
  gsaSchema,
  innerSizeFrom,
  typeSchema,
} from './config-schema.ts'
import { parseSoftmaxLayers } from './config-softmax.ts'
import { parseTransformer, type TransformerType } from './config-transformer.ts'

/** A decoder of identical blocks: mixer, then a SwiGLU MLP, each behind an RMS norm. */
export interface ModelConfig {
  modelType: 'gla' | 'gsa' | TransformerType
  /** D: width of the residual stream. */
  hiddenSize: number
  /** I: width of the MLP. */
  innerSize: number
  vocabSize: number
  /** Epsilon of the block norms and the final norm. */
  normEps: number
  /** The embedding matrix is the output head too. */
  tiedEmbeddings: boolean
  /** One mixer per layer. */
  layers: MixerConfig[]
  /** max_position_embeddings: sequence length that the model was made for. */
  maxPositions: number | undefined
  /** norm_first: softmax layers of such checkpoints may come without a norm in front of them. */
  legacyNormFirst: boolean
}

export type MixerConfig = GlaConfig | GsaConfig | SoftmaxConfig

/** Gated linear attention. Query head h uses key/value head floor(h / (heads / kvHeads)). */
export interface GlaConfig {
  kind: 'gla'
  /** H: query heads. */
  heads: number
  /** Hk: key/value heads; states and gates exist per one of these. */
  kvHeads: number
  /** K: key channels of a head. */
  keyDim: number
  /** V: value channels of a head. */
  valueDim: number
  featureMap: GlaFeatureMap
  /** The normed output is multiplied by silu of a projection of the input. */
  outputGate: boolean
  /** Lower bound of the log gate after its division, at most 0. */
  clampMin: number | undefined
  /** The log gate is divided by this. */
  gateNormalizer: number
  /** Inner size of the two-step gate projection. */
  gateRank: number
  /** W: taps of the short convolutions of q, k and v; 0 if there are none. */
  convSize: number
  outputNormEps: number
  /** False: the norm of each head's output has no weights. */
  outputNormWeight: boolean
}

/** Gated slot attention. Heads are grouped as in GLA. */
export interface GsaConfig {
  kind: 'gsa'
  heads: number
  kvHeads: number
  keyDim: number
  valueDim: number
  /** M: memory slots of a key/value head. */
  slots: number
  featureMap: GsaFeatureMap
  gateNormalizer: number
  convSize: number
  /** Epsilon of the one norm over all D output channels: 1e-5, whatever norm_eps says. */
  outputNormEps: number
  outputNormWeight: boolean
}

/** Causal softmax attention with rotary positions. */
export interface SoftmaxConfig {
  kind: 'softmax'
  heads: number
  kvHeads: number
  headDim: number
  /** q, k and v have biases. */
  qkvBias: boolean
  /** A token sees this many tokens, itself included; undefined: all before it. */
  window: number | undefined
  ropeTheta: number
}

/** GLA's divisor of the log gate and its gate rank, which no configuration sets. */
const GLA_GATE_NORMALIZER = 16
const GLA_GATE_RANK = 16

/** The GSA layer's output norm calls a function that never gets norm_eps. */
const GSA_OUTPUT_NORM_EPS = 1e-5

const DEFAULT_SLOTS = 64

/**
 * Reads the content of config.json; `file` is its path. The gate rank, and the number of key/value
 * heads of one old layout, are known only from the tensors: see mapTensors.
 * Throws CheckpointError naming the key, what was found and what is allowed.
 */
export function parseModelConfig(json: unknown, file: string): ModelConfig {
  const modelType = checkSchema(typeSchema, json, file).model_type
  if (modelType === 'gla') {
    const keys = checkSchema(glaSchema, json, file)
    return buildConfig('gla', keys, parseGla(keys, file), file)
  }
  if (modelType !== 'gsa') return parseTransformer(modelType, json, file)
  const keys = checkSchema(gsaSchema, json, file)
  return buildConfig('gsa', keys, parseGsa(keys, file), file)
}

function buildConfig(
  modelType: 'gla' | 'gsa',
  keys: CommonKeys,
  linear: GlaConfig | GsaConfig,
  file: string,
): ModelConfig {
  const hiddenSize = hiddenSizeOf(keys)
  const layerCount = keys.num_hidden_layers ?? 24
  const softmaxLayers = parseSoftmaxLayers(keys.attn, hiddenSize, layerCount, file)
  const layers: MixerConfig[] = []
  for (let i = 0; i < layerCount; i++) layers.push(softmaxLayers.get(i) ?? { ...linear })
  return {
    modelType,
    hiddenSize,
    innerSize: keys.intermediate_size ?? innerSizeFrom(hiddenSize, keys.hidden_ratio ?? 4),
    vocabSize: keys.vocab_size ?? 32000,
    normEps: normEpsOf(keys),
    tiedEmbeddings: keys.tie_word_embeddings ?? false,
    layers,
    maxPositions: keys.max_position_embeddings ?? undefined,
    legacyNormFirst: keys.norm_first ?? false,
  }
}

function parseGla(keys: GlaKeys, file: string): GlaConfig {
  const map = keys.feature_map ?? 'identity'
  return {
    kind: 'gla',
    ...headsOf(keys, 0.5, file),
    featureMap: map === 'silu' ? 'swish' : map,
    outputGate: keys.use_output_gate ?? true,
    clampMin: keys.clamp_min ?? undefined,
    gateNormalizer: GLA_GATE_NORMALIZER,
    gateRank: GLA_GATE_RANK,
    convSize: convSizeOf(keys, file),
    outputNormEps: normEpsOf(keys),
    outputNormWeight: keys.elementwise_affine ?? true,
  }
}

function parseGsa(keys: GsaKeys, file: string): GsaConfig {
  const expandV = keys.expand_v ?? keys.exapnd_v ?? 1
  if (expandV !== 1) throw wrongValue(file, 'expand_v', expandV, '1 in a GSA model')
  const heads = headsOf(keys, 1, file)
  return {
    kind: 'gsa',
    ...heads,
    slots: keys.num_slots === undefined ? DEFAULT_SLOTS : (keys.num_slots ?? heads.keyDim),
    featureMap: keys.feature_map ?? 'swish',
    gateNormalizer: keys.gate_logit_normalizer ?? 8,
    convSize: convSizeOf(keys, file),
    outputNormEps: GSA_OUTPUT_NORM_EPS,
    outputNormWeight: keys.elementwise_affine ?? true,
  }
}

function headsOf(keys: CommonKeys, defaultExpandK: number, file: string) {
  const heads = keys.num_heads ?? keys.num_attention_heads ?? 4
  const kvHeads = keys.num_kv_heads ?? heads
  if (heads % kvHeads !== 0) {
    throw wrongValue(file, 'num_kv_heads', kvHeads, `a divisor of num_heads ${heads}`)
  }
  const expandK = keys.expand_k ?? keys.exapnd_k ?? defaultExpandK
  const expandV = keys.expand_v ?? keys.exapnd_v ?? 1
  return {
    heads,
    kvHeads,
    keyDim: headDim(hiddenSizeOf(keys), expandK, 'expand_k', heads, file),
    valueDim: headDim(hiddenSizeOf(keys), expandV, 'expand_v', heads, file),
  }
}

/** Channels of one head: int(hidden_size * expand) / heads, which must come out whole. */
function headDim(hidden: number, expand: number, key: string, heads: number, file: string): number {
  const channels = Math.trunc(hidden * expand)
  if (channels === 0 || channels % heads !== 0) {
    const product = `hidden_size ${hidden} times ${key} ${expand} is ${channels}`
    throw wrongValue(file, 'num_heads', heads, `a divisor of the channels, but ${product}`)
  }
  return channels / heads
}

function hiddenSizeOf(keys: CommonKeys): number {
  return keys.hidden_size ?? 2048
}

function normEpsOf(keys: CommonKeys): number {
  return keys.norm_eps ?? keys.rms_norm_eps ?? 1e-6
}

function convSizeOf(keys: CommonKeys, file: string): number {
  if (!keys.use_short_conv) return 0
  return checkSchema(convSizeSchema, keys.conv_size, file, ['conv_size']) ?? 4
}

// Which tensor of a checkpoint plays which role. All stored layouts, old and new, come out the
// same here, so nothing downstream knows of them.

import type { Checkpoint } from '../src/loader/checkpoint.ts'
import { ITEM_BYTES } from '../src/loader/convert.ts'
import { elementCount, selectRows, type TensorSource } from '../src/loader/tensor-source.ts'
import type { MixerConfig, ModelConfig } from './config.ts'
import { StoredTensors, type TensorLookup } from './tensors-lookup.ts'
import { type MappedMixer, mapGla, mapGsa, mapSoftmax } from './tensors-mixers.ts'
import { RandomTensors } from './tensors-random.ts'

export type { TensorSource } from '../src/loader/tensor-source.ts'

/** All tensors of a model. D = hidden size, I = inner size. */
export interface ModelTensors {
  /** The configuration completed by what only the tensors tell: gate rank, key/value heads. */
  config: ModelConfig
  /** [vocab, D] */
  embeddings: TensorSource
  /** [D] */
  finalNorm: TensorSource
  /** [vocab, D]; undefined if the embeddings are the head */
  lmHead: TensorSource | undefined
  layers: LayerTensors[]
}

/** One block. */
export interface LayerTensors {
  /** [D]; undefined: no norm in front of the mixer */
  mixerNorm: TensorSource | undefined
  mixer: MixerTensors
  /** [D] */
  mlpNorm: TensorSource
  /** [I, D] */
  gate: TensorSource
  /** [I, D] */
  up: TensorSource
  /** [D, I] */
  down: TensorSource
}

export type MixerTensors = GlaTensors | GsaTensors | SoftmaxTensors

/** Depthwise causal convolutions of q, k and v: weights [channels, W], biases [channels]. */
export interface ConvTensors {
  convQ?: TensorSource
  convK?: TensorSource
  convV?: TensorSource
  convQBias?: TensorSource
  convKBias?: TensorSource
  convVBias?: TensorSource
}

export interface GlaTensors extends ConvTensors {
  kind: 'gla'
  /** [H·K, D] */
  q: TensorSource
  /** [Hk·K, D] */
  k: TensorSource
  /** [Hk·V, D] */
  v: TensorSource
  /** [rank, D]: first step of the gate projection */
  gateDown: TensorSource
  /** [Hk·K, rank]: second step */
  gateUp: TensorSource
  /** [Hk·K] */
  gateBias: TensorSource
  /** [H·V, D], with an output gate */
  outputGate?: TensorSource
  /** [V], shared by all heads; absent if the norm has no weights */
  outputNorm?: TensorSource
  /** [D, H·V] */
  output: TensorSource
}

export interface GsaTensors extends ConvTensors {
  kind: 'gsa'
  /** [H·K, D] */
  q: TensorSource
  /** [Hk·K, D] */
  k: TensorSource
  /** [Hk·V, D] */
  v: TensorSource
  /** [Hk·M, D]: log gates of the slots */
  gate: TensorSource
  /** [D], one norm over all heads; absent if the norm has no weights */
  outputNorm?: TensorSource
  /** [D, H·V] */
  output: TensorSource
  /** [K, K], with the t2r feature map */
  t2r?: TensorSource
}

export interface SoftmaxTensors {
  kind: 'softmax'
  /** [H·d, D] */
  q: TensorSource
  /** [Hk·d, D] */
  k: TensorSource
  /** [Hk·d, D] */
  v: TensorSource
  /** [D, H·d] */
  output: TensorSource
  /** [H·d], [Hk·d], [Hk·d], with qkvBias */
  qBias?: TensorSource
  kBias?: TensorSource
  vBias?: TensorSource
}

/**
 * Gives every tensor of a checkpoint its role and checks its shape; no weights are read.
 * Throws CheckpointError for a tensor that is missing, surplus, wrongly shaped or of a
 * computation that is not supported.
 */
export function mapTensors(config: ModelConfig, checkpoint: Checkpoint): ModelTensors {
  return assignRoles(config, new StoredTensors(config, checkpoint))
}

/** The same tensors with random numbers; only what config.json says is known of them. */
export function randomTensors(config: ModelConfig, configFile: string): ModelTensors {
  return assignRoles(config, new RandomTensors(configFile))
}

function assignRoles(config: ModelConfig, lookup: TensorLookup): ModelTensors {
  const { hiddenSize: D, vocabSize } = config
  const embeddings = lookup.take(['embeddings.weight', 'embed_tokens.weight'], [vocabSize, D])
  const finalNorm = lookup.take('norm.weight', [D])
  // A tied checkpoint may carry the head all the same: a copy that nobody reads.
  const storedHead = config.tiedEmbeddings
    ? lookup.takeOptional('lm_head.weight', [vocabSize, D])
    : lookup.take('lm_head.weight', [vocabSize, D])
  const layers: LayerTensors[] = []
  const mixerConfigs: MixerConfig[] = []
  for (const [index, mixerConfig] of config.layers.entries()) {
    const path = `layers.${index}.`
    const mixerNorm = takeMixerNorm(lookup, path, config, mixerConfig)
    const mixer = mapMixer(lookup, path + partNames(config).attention, mixerConfig, D)
    mixerConfigs.push(mixer.config)
    layers.push({ mixerNorm, mixer: mixer.tensors, ...takeMlp(lookup, path, config) })
  }
  lookup.finish()
  return {
    config: { ...config, layers: mixerConfigs },
    embeddings,
    finalNorm,
    lmHead: config.tiedEmbeddings ? undefined : storedHead,
    layers,
  }
}

/** Names of the parts of a block; Mistral and Llama are saved by transformers, under names of its own. */
function partNames({ modelType }: ModelConfig) {
  if (modelType === 'mistral' || modelType === 'llama') {
    const [mixerNorms, mlpNorms] = [['input_layernorm'], ['post_attention_layernorm']]
    return { attention: 'self_attn.', mixerNorms, mlpNorms }
  }
  const mixerNorms = ['attn_norm', 'attn.norm', 'gla_norm']
  return { attention: 'attn.', mixerNorms, mlpNorms: ['mlp_norm', 'mlp.norm'] }
}

function mapMixer(
  lookup: TensorLookup,
  path: string,
  config: MixerConfig,
  D: number,
): MappedMixer<MixerConfig, MixerTensors> {
  switch (config.kind) {
    case 'gla':
      return mapGla(lookup, path, config, D)
    case 'gsa':
      return mapGsa(lookup, path, config, D)
    case 'softmax':
      return mapSoftmax(lookup, path, config, D)
  }
}

/** GSA models of 2024 kept this norm inside the mixer, and made softmax layers without one. */
function takeMixerNorm(
  lookup: TensorLookup,
  path: string,
  config: ModelConfig,
  mixer: MixerConfig,
): TensorSource | undefined {
  const names = partNames(config).mixerNorms.map((name) => `${path}${name}.weight`)
  const mayBeAbsent =
    config.modelType === 'gsa' && config.legacyNormFirst && mixer.kind === 'softmax'
  const shape = [config.hiddenSize]
  return mayBeAbsent ? lookup.takeOptional(names, shape) : lookup.take(names, shape)
}

function takeMlp(
  lookup: TensorLookup,
  path: string,
  config: ModelConfig,
): Omit<LayerTensors, 'mixer' | 'mixerNorm'> {
  const { hiddenSize: D, innerSize: I } = config
  const gateName = `${path}mlp.gate_proj.weight`
  const upName = `${path}mlp.up_proj.weight`
  const norms = partNames(config).mlpNorms.map((name) => `${path}${name}.weight`)
  const rest = {
    mlpNorm: lookup.take(norms, [D]),
    down: lookup.take(`${path}mlp.down_proj.weight`, [D, I]),
  }
  // Until February 2025 gate and up were one matrix, gate rows first.
  if (!lookup.has(upName) && lookup.rows(gateName) === 2 * I) {
    const packed = lookup.take(gateName, [2 * I, D])
    return { ...rest, gate: rowsOf(packed, 0, I), up: rowsOf(packed, I, I) }
  }
  return { ...rest, gate: lookup.take(gateName, [I, D]), up: lookup.take(upName, [I, D]) }
}

function rowsOf(source: TensorSource, first: number, count: number): TensorSource {
  return selectRows(source, [{ first, count }], `${source.name}[${first}:${first + count}]`)
}

/** Bytes that loading reads: of every tensor in use, as it is stored. */
export function usedBytes(tensors: ModelTensors): number {
  const sum = (value: unknown): number => {
    if (typeof value !== 'object' || value === null) return 0
    if ('readRows' in value) {
      const { shape, dtype } = value as TensorSource
      return elementCount(shape) * ITEM_BYTES[dtype]
    }
    return Object.values(value).reduce((total: number, each) => total + sum(each), 0)
  }
  return sum(tensors)
}

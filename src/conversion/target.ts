// config.json of the model that is made, in the keys of flash-linear-attention's GLAConfig and
// GSAConfig.

import type { ConvertOptions } from '../config-convert.ts'
import { CheckpointError, invariant } from '../errors.ts'
import type { Dtype } from '../loader/convert.ts'
import { mixerOf } from './options.ts'
import type { Json, SourceModel } from './source.ts'

const TORCH_DTYPES: Readonly<Record<Dtype, string>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
}

const CLASSES = { gla: 'GLAForCausalLM', gsa: 'GSAForCausalLM' }

/** What every model made here has. */
const FIXED = {
  hidden_act: 'swish',
  hidden_ratio: 4,
  elementwise_affine: true,
  use_cache: true,
  fuse_norm: true,
  fuse_swiglu: true,
  fuse_cross_entropy: true,
  fuse_linear_cross_entropy: false,
}

/** What the tensors of the source and the options decide together. */
export interface TargetTensors {
  softmaxLayers: readonly number[]
  /** Softmax layers have biases. */
  qkvBias: boolean
  /** The head is the embeddings. */
  tiedEmbeddings: boolean
  /** Type of new weights. */
  dtype: Dtype
}

/**
 * The content of config.json. Throws CheckpointError, naming `configFile`, for a source whose heads
 * the wanted layers cannot have.
 */
export function targetConfig(
  source: SourceModel,
  options: ConvertOptions,
  { softmaxLayers, qkvBias, tiedEmbeddings, dtype }: TargetTensors,
  configFile: string,
): Json {
  const { config, attention, json } = source
  const kind = mixerOf(options)
  const heads = { num_heads: attention.heads, num_kv_heads: attention.kvHeads }
  const expand = expansionOf(source, options, configFile)
  const softmax = {
    ...{ layers: softmaxLayers, ...heads, qkv_bias: qkvBias },
    window_size: windowOf(options, attention.window),
    rope_theta: attention.ropeTheta,
  }
  return {
    architectures: [CLASSES[kind]],
    model_type: kind,
    hidden_size: config.hiddenSize,
    intermediate_size: config.innerSize,
    num_hidden_layers: config.layers.length,
    ...heads,
    vocab_size: config.vocabSize,
    norm_eps: config.normEps,
    max_position_embeddings: config.maxPositions ?? 2048,
    tie_word_embeddings: tiedEmbeddings,
    initializer_range: source.initializerRange,
    bos_token_id: json.bos_token_id ?? null,
    eos_token_id: json.eos_token_id ?? null,
    pad_token_id: json.pad_token_id ?? null,
    torch_dtype: TORCH_DTYPES[dtype],
    ...FIXED,
    use_short_conv: options.shortConv,
    conv_size: options.convSize ?? 4,
    use_output_gate: options.outputGate,
    expand_k: expand,
    expand_v: expand,
    ...(kind === 'gla' ? glaKeys(options) : gsaKeys(options)),
    attn: softmaxLayers.length === 0 ? null : softmax,
  }
}

function glaKeys({ featureMap = 'relu' }: ConvertOptions): Json {
  return {
    attn_mode: 'chunk',
    feature_map: featureMap === 'none' ? null : featureMap,
    use_gk: true,
    use_gv: false,
    clamp_min: null,
  }
}

function gsaKeys(options: ConvertOptions): Json {
  return {
    feature_map: options.featureMap ?? 'swish',
    num_slots: options.numSlots ?? 64,
    gate_logit_normalizer: options.gateLogitNormalizer ?? 8,
    clamp_min: null,
    clamp_max: null,
    use_norm: true,
  }
}

function windowOf({ window }: ConvertOptions, ofSource: number | undefined): number | null {
  if (window === undefined) return ofSource ?? null
  return window === 'none' ? null : window
}

/** Width of all heads over that of the residual stream, which only GLA can have other than 1. */
function expansionOf(
  { config: { hiddenSize }, attention: { heads, headDim } }: SourceModel,
  options: ConvertOptions,
  configFile: string,
): number {
  const width = heads * headDim
  const ratio = width / hiddenSize
  if (ratio === 1) return 1
  const found = `${heads} heads of ${headDim} channels are not as wide as hidden_size ${hiddenSize}`
  if (mixerOf(options) === 'gsa') {
    throw new CheckpointError(configFile, `${found}, which gsa needs; --to gla does not`)
  }
  if (options.to === 'hybrid') {
    const message = `${found}, which softmax layers of FLA need; --to gla has none`
    throw new CheckpointError(configFile, message)
  }
  // FLA multiplies and cuts off what is behind the point, which may be all but one of it.
  const exact = [ratio, ratio * (1 + Number.EPSILON)].find(
    (each) => Math.trunc(hiddenSize * each) === width,
  )
  invariant(exact !== undefined, `a ratio of ${width} to ${hiddenSize}`)
  return exact
}

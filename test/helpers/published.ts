// The published checkpoints: their configurations, small twins of them, and the layouts in which files of
// their time hold tensors. The files themselves were not at hand; maths and names are those of the
// library that made them.
import { SHAPES } from '../bench/shapes.ts'
import type { Json, TensorData, Tensors } from './checkpoints.ts'

/** Softmax layers of the hybrids: every fourth, as wide as the model that they come from. */
const ATTENTION = { num_heads: 32, num_kv_heads: 8, window_size: 2048 }
const EVERY_FOURTH = [3, 7, 11, 15, 19, 23, 27, 31]

/** What matters of config.json, in full size. */
export const PUBLISHED: Readonly<Record<string, Json>> = {
  'gla-7B-mistral-20B': SHAPES['gla-7b'],
  'gsa-7B-mistral-20B, -100B': SHAPES['gsa-7b'],
  'gla-1.3B-100B': SHAPES['gla-1.3b'],
  'gla-340M-15B': SHAPES['gla-340m'],
  'GLA-7B hybrid': { ...SHAPES['gla-7b'], attn: { layers: EVERY_FOURTH, ...ATTENTION } },
  'GSA-7B hybrid': { ...SHAPES['gsa-7b'], attn: { layers: EVERY_FOURTH, ...ATTENTION } },
}

/** Width of the twins; their vocabulary is no multiple of anything. */
const WIDTH = 128
const VOCABULARY = 125

/** The same model with two layers, of a hybrid one of each kind, narrow but with its groups of heads. */
export function narrowed(config: Json): Json {
  const heads = (config.num_heads ?? 4) as number
  const inner = config.intermediate_size as number | undefined
  const scale = WIDTH / (config.hidden_size as number)
  const headsScale = heads > 8 ? 8 / heads : 1
  const scaled = (count: unknown) => (count === undefined ? undefined : headsScale * Number(count))
  const small: Json = {
    ...config,
    hidden_size: WIDTH,
    num_hidden_layers: 2,
    vocab_size: VOCABULARY,
    num_heads: headsScale * heads,
    num_kv_heads: scaled(config.num_kv_heads),
    intermediate_size: inner && inner * scale,
  }
  if (config.attn === undefined) return small
  const attn = { ...ATTENTION, num_heads: 8, num_kv_heads: 2, window_size: 64, layers: [1] }
  return { ...small, attn }
}

/** One way in which files may hold a model. */
export interface Layout {
  what: string
  /** Keys to set in config.json; undefined removes a key. */
  config: Json
  tensors: (tensors: Tensors) => Tensors
  /** The layout is of a model that computes something else. */
  differs?: boolean
}

/** Keys that FLA saves beside those that matter. */
const SAVED_KEYS = {
  bos_token_id: 1,
  eos_token_id: 2,
  hidden_act: 'swish',
  hidden_ratio: 4,
  initializer_range: 0.02,
  max_position_embeddings: 2048,
  elementwise_affine: true,
  fuse_cross_entropy: true,
  transformers_version: '4.44.2',
  use_cache: true,
}

/** Today's layout and those of 2024 that a file of this model may have. */
export function layoutsOf(config: Json): Layout[] {
  return config.model_type === 'gla' ? glaLayouts(config) : gsaLayouts(config)
}

function glaLayouts(config: Json): Layout[] {
  // As it is called where norm and gate are no one kernel.
  const plainNorm = renamed(['.attn.g_norm_swish_gate.', '.attn.g_norm.'])
  const early = {
    ...{ ...SAVED_KEYS, attn_mode: 'fused_chunk', use_gk: true, use_gv: false },
    ...{ norm_eps: undefined, rms_norm_eps: config.norm_eps, share_conv_kernel: true },
  }
  const layouts: Layout[] = [
    {
      what: "today's layout",
      config: { ...SAVED_KEYS, architectures: ['GLAForCausalLM'], attn_mode: 'chunk' },
      tensors: unchanged,
    },
    {
      what: 'packed gate and up, rms_norm_eps, fused_chunk',
      config: early,
      tensors: (tensors) => packed(plainNorm(tensors)),
    },
  ]
  if (config.attn !== undefined || config.num_kv_heads !== undefined) return layouts
  // Before there were key/value heads.
  const heads = { num_heads: undefined, num_attention_heads: config.num_heads }
  const names = renamed(['.embeddings.', '.embed_tokens.'], ['.attn_norm.', '.gla_norm.'])
  const first = (tensors: Tensors) => packed(names(plainNorm(tensors)))
  return [
    ...layouts,
    { what: 'names of March 2024', config: { ...early, ...heads }, tensors: first },
  ]
}

function gsaLayouts(config: Json): Layout[] {
  const legacy = {
    ...{ ...SAVED_KEYS, exapnd_k: 1, exapnd_v: 1, norm_first: true, share_conv_kernel: true },
    ...{ use_rope: false, use_output_gate: false, use_norm: true, gate_low_rank_dim: 16 },
  }
  const inner = renamed(['.attn_norm.', '.attn.norm.'], ['.mlp_norm.', '.mlp.norm.'])
  const layouts: Layout[] = [
    {
      what: "today's layout",
      config: { ...SAVED_KEYS, architectures: ['GSAForCausalLM'], expand_k: 1, expand_v: 1 },
      tensors: unchanged,
    },
    {
      what: 'packed gate and up, norms inside',
      config: legacy,
      tensors: (tensors) => packed(inner(tensors)),
    },
    {
      what: 'packed gate and up, norms outside',
      config: { ...legacy, norm_first: false },
      tensors: packed,
    },
  ]
  if (config.attn === undefined) return layouts
  return [
    ...layouts,
    {
      what: 'norms inside, none in front of softmax attention',
      config: legacy,
      tensors: (tensors) => packed(inner(without(tensors, 'model.layers.1.attn_norm.weight'))),
      differs: true,
    },
  ]
}

const unchanged = (tensors: Tensors): Tensors => tensors

function renamed(...pairs: [from: string, to: string][]) {
  const rename = (name: string) => pairs.reduce((text, [from, to]) => text.replace(from, to), name)
  return (tensors: Tensors): Tensors =>
    Object.fromEntries(Object.entries(tensors).map(([name, data]) => [rename(name), data]))
}

function without(tensors: Tensors, gone: string): Tensors {
  return Object.fromEntries(Object.entries(tensors).filter(([name]) => name !== gone))
}

/** gate_proj holds the rows of the gate and those of up behind them. */
function packed(tensors: Tensors): Tensors {
  const result: Tensors = {}
  for (const [name, tensor] of Object.entries(tensors)) {
    if (name.endsWith('up_proj.weight')) continue
    const up = tensors[name.replace('gate_proj', 'up_proj')]
    result[name] = name.endsWith('gate_proj.weight') ? stacked(tensor, up) : tensor
  }
  return result
}

function stacked(a: TensorData, b: TensorData): TensorData {
  const data = new Float32Array([...a.data, ...b.data])
  return { dtype: a.dtype, shape: [a.shape[0] + b.shape[0], a.shape[1]], data }
}

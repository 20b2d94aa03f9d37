// Which keys of config.json are read and which values they may have. Keys that are not named
// here change nothing in inference and are accepted with any value.

import { z } from 'zod'
import { flag, jsonObject, oneOf, positiveNumber, wholeNumber } from '../src/loader/schema.ts'

/** Absurd sizes are refused before anything is computed from them. */
export const MAX_WIDTH = 2 ** 20
export const MAX_HEADS = 2 ** 12
export const MAX_LAYERS = 2 ** 12
export const MAX_VOCAB = 2 ** 24
const MAX_SLOTS = 2 ** 12
const MAX_CONV = 32
const MAX_RATIO = 64

const headCount = wholeNumber(1, MAX_HEADS).nullish()
const ratio = positiveNumber(MAX_RATIO).nullish()

/** Keys whose values mean a model that glaze cannot compute. */
const refusedKeys = {
  attnres_block_size: z
    .null({ error: 'null (learned sums over earlier layers are not supported)' })
    .optional(),
  use_rope: z.literal(false, { error: 'false (rotary GLA or GSA is not supported)' }).nullish(),
  quantization_config: z
    .null({ error: 'null (quantized checkpoints are not supported)' })
    .optional(),
}

/** Keys of both models; model_type is checked first, since it decides what the others mean. */
const commonSchema = jsonObject({
  ...refusedKeys,
  hidden_act: oneOf(['swish', 'silu']).nullish(),
  hidden_size: wholeNumber(1, MAX_WIDTH).nullish(),
  num_hidden_layers: wholeNumber(1, MAX_LAYERS).nullish(),
  vocab_size: wholeNumber(1, MAX_VOCAB).nullish(),
  num_heads: headCount,
  // The spelling of the first GLA checkpoints, February and March 2024.
  num_attention_heads: headCount,
  num_kv_heads: headCount,
  expand_k: ratio,
  expand_v: ratio,
  // GSA's parameters are misspelt at their source; saved files may carry either spelling.
  exapnd_k: ratio,
  exapnd_v: ratio,
  intermediate_size: wholeNumber(1, MAX_WIDTH).nullish(),
  hidden_ratio: ratio,
  norm_eps: positiveNumber(1).nullish(),
  // GLA before May 2024.
  rms_norm_eps: positiveNumber(1).nullish(),
  elementwise_affine: flag().optional(),
  use_short_conv: flag().nullish(),
  // Means something, and is checked, only with use_short_conv.
  conv_size: z.unknown().optional(),
  tie_word_embeddings: flag().nullish(),
  max_position_embeddings: wholeNumber(1, Number.MAX_SAFE_INTEGER).nullish(),
  norm_first: flag().nullish(),
  attn: z.unknown().optional(),
})

/** Models whose layers are all softmax attention. */
export const TRANSFORMERS = ['mistral', 'llama', 'transformer'] as const

export const typeSchema = jsonObject({ model_type: oneOf(['gla', 'gsa', ...TRANSFORMERS]) })

export const glaSchema = commonSchema.extend({
  feature_map: oneOf([
    'relu',
    'swish',
    'silu',
    'sigmoid',
    'sqrelu',
    'gelu',
    'logsigmoid',
  ]).nullish(),
  use_output_gate: flag().optional(),
  clamp_min: z
    .number({ error: 'a number of at most 0, or null' })
    .max(0, { error: 'a number of at most 0, or null' })
    .nullish(),
})

export const gsaSchema = commonSchema.extend({
  // An explicit null is refused: it stood for another computation before June 2024.
  feature_map: oneOf(['swish', 'relu', 't2r']).optional(),
  gate_logit_normalizer: positiveNumber(1e6).nullish(),
  // Absent means 64, an explicit null as many slots as key channels.
  num_slots: wholeNumber(1, MAX_SLOTS).nullish(),
})

export const convSizeSchema = wholeNumber(2, MAX_CONV).nullish()

export type CommonKeys = z.output<typeof commonSchema>
export type GlaKeys = z.output<typeof glaSchema>
export type GsaKeys = z.output<typeof gsaSchema>

/** Two thirds of ratio * hidden, rounded up to a multiple of 256. */
export function innerSizeFrom(hidden: number, ratio: number): number {
  return 256 * Math.ceil(Math.trunc((hidden * ratio * 2) / 3) / 256)
}

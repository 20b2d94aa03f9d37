// Models whose layers are all softmax attention: Mistral and Llama as transformers saves them, and the
// training library's own "transformer". Defaults are those of their configuration classes.

import { z } from 'zod'
import {
  checkSchema,
  flag,
  jsonObject,
  oneOf,
  positiveNumber,
  wholeNumber,
  wrongValue,
} from '../src/loader/schema.ts'
import type { ModelConfig, SoftmaxConfig } from './config.ts'
import {
  innerSizeFrom,
  MAX_HEADS,
  MAX_LAYERS,
  MAX_VOCAB,
  MAX_WIDTH,
  type TRANSFORMERS,
} from './config-schema.ts'

export type TransformerType = (typeof TRANSFORMERS)[number]

const MAX_THETA = 1e15
const MAX_LENGTH = Number.MAX_SAFE_INTEGER

const headCount = wholeNumber(1, MAX_HEADS).nullish()
const plainRope = z
  .literal('default', { error: '"default" (scaled rotary positions are not supported)' })
  .nullish()
const sameRope = z
  .undefined({ error: 'nothing (rotary positions are the same in all layers)' })
  .optional()

/** Rotary positions; both keys that have them may say that they are plain. */
const ropeSchema = jsonObject({
  rope_theta: positiveNumber(MAX_THETA).nullish(),
  rope_type: plainRope,
  type: plainRope,
  // A set of parameters for each kind of layer.
  full_attention: sameRope,
  sliding_attention: sameRope,
}).nullish()

/** Keys of all three. */
const commonSchema = jsonObject({
  hidden_act: oneOf(['silu', 'swish']).nullish(),
  hidden_size: wholeNumber(1, MAX_WIDTH),
  intermediate_size: wholeNumber(1, MAX_WIDTH).nullish(),
  num_hidden_layers: wholeNumber(1, MAX_LAYERS),
  vocab_size: wholeNumber(1, MAX_VOCAB),
  tie_word_embeddings: flag().nullish(),
  max_position_embeddings: wholeNumber(1, MAX_LENGTH).nullish(),
  rope_theta: positiveNumber(MAX_THETA).nullish(),
  quantization_config: z
    .null({ error: 'null (quantized checkpoints are not supported)' })
    .optional(),
})

/** Mistral and Llama. */
const huggingFaceSchema = commonSchema.extend({
  num_attention_heads: wholeNumber(1, MAX_HEADS),
  num_key_value_heads: headCount,
  head_dim: wholeNumber(2, MAX_WIDTH).nullish(),
  rms_norm_eps: positiveNumber(1).nullish(),
  // The newer spelling of rope_theta, with the kind of scaling.
  rope_parameters: ropeSchema,
  rope_scaling: ropeSchema,
  sliding_window: wholeNumber(1, MAX_LENGTH).nullish(),
  attention_bias: z
    .literal(false, { error: 'false (biases of attention outputs are not supported)' })
    .nullish(),
  mlp_bias: z.literal(false, { error: 'false (biases of the MLP are not supported)' }).nullish(),
})

/** The training library's. */
const transformerSchema = commonSchema.extend({
  num_heads: wholeNumber(1, MAX_HEADS).nullish(),
  num_kv_heads: headCount,
  hidden_ratio: positiveNumber(64).nullish(),
  norm_eps: positiveNumber(1).nullish(),
  qkv_bias: flag().nullish(),
  qk_norm: z
    .literal(false, { error: 'false (normed queries and keys are not supported)' })
    .nullish(),
  window_size: wholeNumber(1, MAX_LENGTH).nullish(),
})

/** What of the keys differs between the two families. */
interface Shape {
  heads: number
  kvHeads: number
  headDim: number
  innerSize: number
  normEps: number
  attention: Pick<SoftmaxConfig, 'qkvBias' | 'window' | 'ropeTheta'>
}

/** Throws CheckpointError naming the key, what was found and what is allowed. */
export function parseTransformer(
  modelType: TransformerType,
  json: unknown,
  file: string,
): ModelConfig {
  const keys = checkSchema(commonSchema, json, file)
  const shape =
    modelType === 'transformer' ? shapeOfTransformer(json, file) : shapeOf(modelType, json, file)
  const { heads, kvHeads, headDim, innerSize, normEps, attention } = shape
  if (heads % kvHeads !== 0) {
    const key = modelType === 'transformer' ? 'num_kv_heads' : 'num_key_value_heads'
    throw wrongValue(file, key, kvHeads, `a divisor of the ${heads} heads`)
  }
  if (!Number.isInteger(headDim) || headDim % 2 !== 0) {
    throw wrongValue(file, 'hidden_size', keys.hidden_size, `${heads} heads of even size`)
  }
  const layer: SoftmaxConfig = { kind: 'softmax', heads, kvHeads, headDim, ...attention }
  return {
    ...{ modelType, hiddenSize: keys.hidden_size, innerSize, vocabSize: keys.vocab_size, normEps },
    tiedEmbeddings: keys.tie_word_embeddings ?? false,
    layers: Array.from({ length: keys.num_hidden_layers }, () => ({ ...layer })),
    maxPositions: keys.max_position_embeddings ?? undefined,
    legacyNormFirst: false,
  }
}

function shapeOf(modelType: 'mistral' | 'llama', json: unknown, file: string): Shape {
  const keys = checkSchema(huggingFaceSchema, json, file)
  const heads = keys.num_attention_heads
  const isMistral = modelType === 'mistral'
  // An absent key is the class's default, null is none.
  const window = isMistral && keys.sliding_window === undefined ? 4096 : keys.sliding_window
  const kvHeads = isMistral && keys.num_key_value_heads === undefined ? 8 : keys.num_key_value_heads
  const rope = keys.rope_parameters ?? keys.rope_scaling
  return {
    heads,
    kvHeads: kvHeads ?? heads,
    headDim: keys.head_dim ?? keys.hidden_size / heads,
    innerSize: keys.intermediate_size ?? (isMistral ? 14336 : 11008),
    normEps: keys.rms_norm_eps ?? 1e-6,
    attention: {
      qkvBias: false,
      window: (isMistral ? window : undefined) ?? undefined,
      ropeTheta: rope?.rope_theta ?? keys.rope_theta ?? 10000,
    },
  }
}

function shapeOfTransformer(json: unknown, file: string): Shape {
  const keys = checkSchema(transformerSchema, json, file)
  const heads = keys.num_heads ?? 32
  return {
    heads,
    kvHeads: keys.num_kv_heads ?? heads,
    headDim: keys.hidden_size / heads,
    innerSize: keys.intermediate_size ?? innerSizeFrom(keys.hidden_size, keys.hidden_ratio ?? 4),
    normEps: keys.norm_eps ?? 1e-6,
    attention: {
      qkvBias: keys.qkv_bias ?? false,
      window: keys.window_size ?? undefined,
      ropeTheta: keys.rope_theta ?? 10000,
    },
  }
}

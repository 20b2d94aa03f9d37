// The `attn` key of config.json: which layers of a hybrid model are softmax attention.

import { z } from 'zod'
import { checkSchema, flag, positiveNumber, wholeNumber, wrongValue } from '../src/loader/schema.ts'
import type { SoftmaxConfig } from './config.ts'
import { MAX_HEADS } from './config-schema.ts'

const DEFAULT_ROPE_THETA = 10000

/** What an unknown key must be: such a key could change the result. */
const unset = z.literal([null, false], {
  error: 'layers, num_heads, num_kv_heads, qkv_bias, window_size and rope_theta as the only keys',
})

function softmaxSchema(layerCount: number) {
  const layer = wholeNumber(0, layerCount - 1)
  return z
    .object(
      {
        layers: z.array(layer, { error: 'a list of layer numbers' }),
        num_heads: wholeNumber(1, MAX_HEADS),
        num_kv_heads: wholeNumber(1, MAX_HEADS).nullish(),
        qkv_bias: flag().nullish(),
        window_size: wholeNumber(1, Number.MAX_SAFE_INTEGER).nullish(),
        rope_theta: positiveNumber(1e15).nullish(),
      },
      { error: 'null, an object, or a list of objects' },
    )
    .catchall(unset)
}

/**
 * Softmax layers by layer number. `attn` is null, one object or a list of objects.
 * Throws CheckpointError naming the key, also for a layer that is given twice.
 */
export function parseSoftmaxLayers(
  attn: unknown,
  hiddenSize: number,
  layerCount: number,
  file: string,
): Map<number, SoftmaxConfig> {
  const layers = new Map<number, SoftmaxConfig>()
  if (attn === null || attn === undefined) return layers
  const schema = softmaxSchema(layerCount)
  const specs: [string, unknown][] = Array.isArray(attn)
    ? attn.map((spec, index) => [`attn.${index}`, spec])
    : [['attn', attn]]
  for (const [at, value] of specs) {
    const spec = checkSchema(schema, value, file, [at])
    const heads = spec.num_heads
    const kvHeads = spec.num_kv_heads ?? heads
    const headDim = hiddenSize / heads
    if (!Number.isInteger(headDim) || headDim % 2 !== 0) {
      const allowed = `a number of heads that cuts hidden_size ${hiddenSize} into heads of even size`
      throw wrongValue(file, `${at}.num_heads`, heads, allowed)
    }
    if (heads % kvHeads !== 0) {
      throw wrongValue(file, `${at}.num_kv_heads`, kvHeads, `a divisor of its num_heads ${heads}`)
    }
    for (const [index, layer] of spec.layers.entries()) {
      if (layers.has(layer)) {
        throw wrongValue(file, `${at}.layers.${index}`, layer, 'each layer only once')
      }
      layers.set(layer, {
        kind: 'softmax',
        heads,
        kvHeads,
        headDim,
        qkvBias: spec.qkv_bias ?? false,
        window: spec.window_size ?? undefined,
        ropeTheta: spec.rope_theta ?? DEFAULT_ROPE_THETA,
      })
    }
  }
  return layers
}

// The softmax model that is converted: which ones are taken, and what their configuration says.

import { type ModelConfig, parseModelConfig, type SoftmaxConfig } from '../../models/config.ts'
import { TRANSFORMERS } from '../../models/config-schema.ts'
import type { ConvertOptions } from '../config-convert.ts'
import { CheckpointError } from '../errors.ts'
import type { Checkpoint } from '../loader/checkpoint.ts'
import { checkSchema, jsonObject, oneOf, positiveNumber } from '../loader/schema.ts'

export type Json = Record<string, unknown>

export interface SourceModel {
  /** Content of config.json. */
  json: Json
  /** What of it decides the computation. */
  config: ModelConfig
  /** Attention, the same in all layers. */
  attention: SoftmaxConfig
  /** Standard deviation of new matrices: that of the source's own, where it says so. */
  initializerRange: number
  /** How positions were scaled in the source, which the new model does not do. */
  scaledRope: string | undefined
  /** Why glaze cannot serve the source itself; undefined: it can. */
  unserved: string | undefined
}

const DEFAULT_RANGE = 0.02

const sourceSchema = jsonObject({
  model_type: oneOf(TRANSFORMERS),
  initializer_range: positiveNumber(1).nullish(),
})

/**
 * Reads the configuration of a softmax model.
 * Throws CheckpointError naming the key, what was found and what is allowed.
 */
export function readSource(
  { config: content, configFile }: Pick<Checkpoint, 'config' | 'configFile'>,
  { to, dropRopeScaling }: Pick<ConvertOptions, 'to' | 'dropRopeScaling'>,
): SourceModel {
  const { initializer_range } = checkSchema(sourceSchema, content, configFile)
  const json = content as Json
  // Which biases there are is seen from the tensors, where some can be carried.
  const { attention_bias: _, ...read } = json
  const scaledRope = scalingOf(json)
  if (scaledRope !== undefined) {
    if (to === 'hybrid' && !dropRopeScaling) {
      throw new CheckpointError(
        configFile,
        `scales rotary positions (${scaledRope}), which softmax layers of FLA cannot: ` +
          '--drop-rope-scaling makes them plain, and --to gla or gsa has none',
      )
    }
    for (const key of ROPE_KEYS) read[key] = withoutScaling(json[key])
  }
  const config = parseModelConfig(read, configFile)
  return {
    ...{ json, config, scaledRope },
    attention: config.layers[0] as SoftmaxConfig,
    initializerRange: initializer_range ?? DEFAULT_RANGE,
    unserved: refusalOf(json, configFile),
  }
}

/** Either has the kind of scaling, and may have the base of the angles. */
const ROPE_KEYS = ['rope_scaling', 'rope_parameters'] as const

/** What of rotary positions is left without their scaling. */
function withoutScaling(rope: unknown): Json | undefined {
  if (typeof rope !== 'object' || rope === null) return undefined
  return { rope_theta: (rope as Json).rope_theta }
}

/** What glaze says of a model that it cannot serve. */
function refusalOf(json: Json, configFile: string): string | undefined {
  try {
    parseModelConfig(json, configFile)
    return undefined
  } catch (error) {
    if (error instanceof CheckpointError) return error.message
    throw error
  }
}

function scalingOf(json: Json): string | undefined {
  for (const key of ROPE_KEYS) {
    const scaling = json[key]
    if (typeof scaling !== 'object' || scaling === null) continue
    const { rope_type, type } = scaling as Json
    const name = rope_type ?? type
    if (name !== undefined && name !== null && name !== 'default') return String(name)
  }
  return undefined
}

// The softmax model that is converted: which ones are taken, and what their configuration says.

import { type ModelConfig, parseModelConfig, type SoftmaxConfig } from '../../models/config.ts'
import { TRANSFORMERS } from '../../models/config-schema.ts'
import type { Checkpoint } from '../loader/checkpoint.ts'
import { checkSchema, jsonObject, oneOf } from '../loader/schema.ts'

export type Json = Record<string, unknown>

export interface SourceModel {
  /** Content of config.json. */
  json: Json
  /** What of it decides the computation. */
  config: ModelConfig
  /** Attention, the same in all layers. */
  attention: SoftmaxConfig
  /** How positions are scaled, where that goes with the positions. */
  scaledRope: string | undefined
}

const typeSchema = jsonObject({ model_type: oneOf(TRANSFORMERS) })

/**
 * Reads the configuration of a softmax model.
 * @param keepsSoftmax some layers stay softmax, so that scaled positions would matter
 * Throws CheckpointError naming the key, what was found and what is allowed.
 */
export function readSource(checkpoint: Checkpoint, keepsSoftmax: boolean): SourceModel {
  const { config: content, configFile } = checkpoint
  checkSchema(typeSchema, content, configFile)
  const json = content as Json
  // Which biases there are is seen from the tensors, where some can be carried.
  const { attention_bias: _, ...read } = json
  const scaledRope = keepsSoftmax ? undefined : scalingOf(json)
  if (scaledRope !== undefined) {
    delete read.rope_scaling
    delete read.rope_parameters
  }
  const config = parseModelConfig(read, configFile)
  return { json, config, attention: config.layers[0] as SoftmaxConfig, scaledRope }
}

function scalingOf({ rope_scaling, rope_parameters }: Json): string | undefined {
  for (const scaling of [rope_scaling, rope_parameters]) {
    if (typeof scaling !== 'object' || scaling === null) continue
    const { rope_type, type } = scaling as Json
    const name = rope_type ?? type
    if (name !== undefined && name !== null && name !== 'default') return String(name)
  }
  return undefined
}

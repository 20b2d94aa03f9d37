// What a conversion will do, decided before a byte is written: the new configuration, and for every
// tensor of the new model whether it is copied, and from where, or new.

import { parseModelConfig } from '../../models/config.ts'
import { checkShape, isAngles, missingTensor, refuseLeftOver } from '../../models/tensor-faults.ts'
import { tensorShapes } from '../../models/tensor-shapes.ts'
import type { ConvertOptions } from '../config-convert.ts'
import { CheckpointError } from '../errors.ts'
import type { Checkpoint } from '../loader/checkpoint.ts'
import type { Dtype } from '../loader/convert.ts'
import type { StoredTensor } from '../loader/safetensors.ts'
import { isNew, parseBias, renameFor } from './names.ts'
import { checkOptions, softmaxLayersOf } from './options.ts'
import { type Json, readSource, type SourceModel } from './source.ts'
import { initializerRange, targetConfig } from './target.ts'

/** A tensor of the new model. */
export interface PlannedTensor {
  name: string
  shape: readonly number[]
  dtype: Dtype
  /** What it is a copy of; undefined: it is new. */
  from: StoredTensor | undefined
}

export interface ConversionPlan {
  source: SourceModel
  /** Content of config.json. */
  config: Json
  tensors: PlannedTensor[]
  /** Names of tensors of the source that are left out. */
  dropped: string[]
  /** Standard deviation of new matrices. */
  initializerRange: number
  /** What is lost, a sentence each. */
  notes: string[]
}

const DTYPES: Readonly<Record<Exclude<ConvertOptions['dtype'], 'keep'>, Dtype>> = {
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
}

/**
 * Plans a conversion; reads no weights.
 * Throws ConfigError for options that cannot be, CheckpointError for a tensor that is missing, not
 * understood or of the wrong shape.
 */
export function planConversion(checkpoint: Checkpoint, options: ConvertOptions): ConversionPlan {
  checkOptions(options)
  const source = readSource(checkpoint, options.to === 'hybrid')
  const { config, scaledRope } = source
  const rename = renameFor(config.modelType)
  const softmaxLayers = softmaxLayersOf(options, config.layers.length)

  const left = new Map([...checkpoint.tensors].filter(([name]) => !isAngles(name)))
  const biases = takeBiases(left, softmaxLayers, options.dropBias)
  const copiesOfHead = config.tiedEmbeddings && left.delete(HEAD) ? [HEAD] : []
  const qkvBias = softmaxLayers.some((layer) =>
    left.has(rename(`model.layers.${layer}.attn.q_proj.bias`)),
  )
  const ownDtype = left.get(rename('model.embeddings.weight'))?.dtype ?? 'F32'
  const dtype = options.dtype === 'keep' ? ownDtype : DTYPES[options.dtype]
  const target = { softmaxLayers, qkvBias, dtype }
  const json = targetConfig(source, options, target, checkpoint.configFile)

  const tensors: PlannedTensor[] = []
  for (const [name, shape] of tensorShapes(parseModelConfig(json, 'config.json'))) {
    if (isNew(name, softmaxLayers)) tensors.push({ name, shape, dtype, from: undefined })
    else {
      const from = take(left, rename(name), shape, checkpoint)
      tensors.push({ name, shape, dtype: options.dtype === 'keep' ? from.dtype : dtype, from })
    }
  }
  refuseLeftOver(left.values(), config.layers.length, 'has no place in the new model')
  return {
    ...{ source, config: json, tensors, initializerRange: initializerRange(source) },
    dropped: [...biases, ...copiesOfHead],
    notes: [
      ...(scaledRope === undefined ? [] : [`Positions are gone, and their scaling ${scaledRope}.`]),
      ...(biases.length === 0 ? [] : ['Biases of attention were left out.']),
    ],
  }
}

const HEAD = 'lm_head.weight'

/** Takes biases that no layer can have out of `left`, if that is wanted. Returns their names. */
function takeBiases(
  left: Map<string, StoredTensor>,
  softmaxLayers: readonly number[],
  drop: boolean,
): string[] {
  const taken: string[] = []
  for (const [name, { file }] of left) {
    const bias = parseBias(name)
    if (bias === undefined) continue
    if (softmaxLayers.includes(bias.layer) && bias.projection !== 'o') continue
    if (!drop) {
      const who = bias.projection === 'o' ? 'outputs of attention have' : 'linear attention has'
      throw new CheckpointError(file, `tensor ${name}: ${who} no bias; --drop-bias leaves it out`)
    }
    taken.push(name)
  }
  for (const name of taken) left.delete(name)
  return taken
}

function take(
  left: Map<string, StoredTensor>,
  name: string,
  shape: readonly number[],
  { weightsFile }: Checkpoint,
): StoredTensor {
  const tensor = left.get(name)
  if (tensor === undefined) throw missingTensor(weightsFile, [name], shape)
  left.delete(name)
  checkShape(tensor, shape)
  return tensor
}

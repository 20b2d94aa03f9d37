// What a conversion will do, decided before a byte is written: the new configuration, and for every
// tensor of the new model whether it is copied, and from where, or new.

import { parseModelConfig } from '../../models/config.ts'
import { checkShape, isAngles, missingTensor, refuseLeftOver } from '../../models/tensor-faults.ts'
import { tensorShapes } from '../../models/tensor-shapes.ts'
import type { ConvertOptions } from '../config-convert.ts'
import { CheckpointError, ConfigError } from '../errors.ts'
import type { Checkpoint } from '../loader/checkpoint.ts'
import type { Dtype } from '../loader/convert.ts'
import type { StoredTensor } from '../loader/safetensors.ts'
import { isNew, parseBias, renameFor } from './names.ts'
import { checkOptions, softmaxLayersOf } from './options.ts'
import { type Json, readSource, type SourceModel } from './source.ts'
import { targetConfig } from './target.ts'

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
  /** What is lost, and what is missing, a sentence each. */
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
  const source = readSource(checkpoint, options)
  const { config } = source
  const rename = renameFor(config.modelType)
  const softmaxLayers = softmaxLayersOf(options, config.layers.length)
  if (options.untie && !config.tiedEmbeddings) {
    throw new ConfigError('--untie: the source has a head of its own')
  }

  const left = new Map(checkpoint.tensors)
  const angles = [...left.keys()].filter(isAngles)
  const biases = takeBiases(left, softmaxLayers, options.dropBias)
  const copiesOfHead = config.tiedEmbeddings && left.has(HEAD) ? [HEAD] : []
  for (const name of [...angles, ...copiesOfHead]) left.delete(name)
  const tiedEmbeddings = config.tiedEmbeddings && !options.untie
  const qkvBias = softmaxLayers.some((layer) =>
    left.has(rename(`model.layers.${layer}.attn.q_proj.bias`)),
  )
  const ownDtype = left.get(rename(EMBEDDINGS))?.dtype ?? 'F32'
  const dtype = options.dtype === 'keep' ? ownDtype : DTYPES[options.dtype]
  const target = { softmaxLayers, qkvBias, tiedEmbeddings, dtype }
  const json = targetConfig(source, options, target, checkpoint.configFile)

  const tensors: PlannedTensor[] = []
  for (const [name, shape] of tensorShapes(parseModelConfig(json, 'config.json'))) {
    if (isNew(name, softmaxLayers)) tensors.push({ name, shape, dtype, from: undefined })
    else {
      // A head that was tied is a second copy of the embeddings.
      const from =
        options.untie && name === HEAD
          ? checkpoint.tensors.get(rename(EMBEDDINGS))!
          : take(left, rename(name), shape, checkpoint)
      tensors.push({ name, shape, dtype: options.dtype === 'keep' ? from.dtype : dtype, from })
    }
  }
  refuseLeftOver(left.values(), config.layers.length, 'has no place in the new model')
  const dropped = [...angles, ...biases, ...copiesOfHead]
  const notes = notesOf(checkpoint, source, options.to, biases.length > 0)
  return { source, config: json, tensors, dropped, notes }
}

const EMBEDDINGS = 'model.embeddings.weight'
const HEAD = 'lm_head.weight'

function notesOf(
  { tokenizerFile }: Checkpoint,
  { scaledRope }: SourceModel,
  to: ConvertOptions['to'],
  lostBiases: boolean,
): string[] {
  const notes: string[] = []
  if (scaledRope !== undefined) {
    const lost = to === 'hybrid' ? 'Softmax layers have plain positions' : 'Positions are gone'
    notes.push(`${lost}, without the scaling ${scaledRope}.`)
  }
  if (lostBiases) notes.push('Biases of attention were left out.')
  if (tokenizerFile === undefined) {
    notes.push(
      'The source has no tokenizer.json, without which glaze serves nothing: ' +
        'AutoTokenizer.from_pretrained and save_pretrained of transformers make one.',
    )
  }
  return notes
}

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
  if (tensor === undefined) {
    const why = name === HEAD ? '; config.json does not say that it is tied' : ''
    throw missingTensor(weightsFile, [name], shape, why)
  }
  left.delete(name)
  checkShape(tensor, shape)
  return tensor
}

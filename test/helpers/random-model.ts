// Small models with random weights, for comparison with the float64 oracle.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseModelConfig } from '../../models/config.ts'
import { tensorShapes } from '../../models/tensor-shapes.ts'
import { isNormWeight } from '../../src/loader/noise.ts'
import { elementCount, rowLength } from '../../src/loader/tensor-source.ts'
import { type Json, type Tensors, writeJson, writeSafetensors } from './checkpoints.ts'
import { Random } from './numbers.ts'

/** So large that gates differ a lot from channel to channel, and biases of queries matter. */
const BIAS_SPREAD = 2

/**
 * Tensors of the model that this config.json describes, in the order and under the names that are
 * written today. Numbers keep their size from layer to layer; no two norms are alike.
 */
export function randomTensors(config: Json, dtype: string, seed = 1): Tensors {
  const random = new Random(seed)
  const parsed = parseModelConfig(config, 'config.json')
  const tensors: Tensors = {}
  for (const [name, shape] of tensorShapes(parsed)) {
    const data = random.normals(elementCount(shape), spreadOf(name, shape))
    if (isNormWeight(name)) for (const i of data.keys()) data[i] += 1
    tensors[nameFor(parsed.modelType, name)] = { dtype, shape: [...shape], data }
  }
  return tensors
}

/** Writes config.json and one file of weights. */
export async function writeModel(folder: string, config: Json, tensors: Tensors): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeJson(join(folder, 'config.json'), config)
  await writeSafetensors(join(folder, 'model.safetensors'), tensors)
}

/** Random tokens of a vocabulary. */
export function randomIds(count: number, vocabSize: number, seed: number): number[] {
  const random = new Random(seed)
  return Array.from({ length: count }, () => random.integer(0, vocabSize - 1))
}

function spreadOf(name: string, shape: readonly number[]): number {
  if (isNormWeight(name)) return 0.2
  if (name.endsWith('bias')) return BIAS_SPREAD
  return name === 'model.embeddings.weight' ? 1 : rowLength(shape) ** -0.5
}

/** Mistral and Llama are saved by transformers, under names of its own. */
export function nameFor(modelType: string, name: string): string {
  if (modelType !== 'mistral' && modelType !== 'llama') return name
  return name
    .replace('embeddings', 'embed_tokens')
    .replace('attn_norm', 'input_layernorm')
    .replace('mlp_norm', 'post_attention_layernorm')
    .replace('.attn.', '.self_attn.')
}

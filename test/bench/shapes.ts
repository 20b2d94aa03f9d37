// Published models by name, as far as their speed depends on it, and tiny ones for tests.
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { EMBEDDED_MODEL } from '../../src/serve/model.ts'
import type { Json } from './random-checkpoint.ts'

const SEVEN = {
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: 32,
  num_heads: 32,
  num_kv_heads: 8,
  vocab_size: 32000,
  norm_eps: 1e-5,
}

/** Of GLA models that did not start from another. */
const FROM_SCRATCH = {
  num_hidden_layers: 24,
  num_heads: 4,
  expand_k: 0.5,
  expand_v: 1,
  use_output_gate: true,
  vocab_size: 32000,
  norm_eps: 1e-6,
}

const TINY = {
  hidden_size: 128,
  intermediate_size: 256,
  num_hidden_layers: 2,
  num_heads: 4,
  num_kv_heads: 2,
  vocab_size: 4096,
}

/** What matters of each config.json. */
export const SHAPES = {
  'gla-7b': {
    model_type: 'gla',
    ...SEVEN,
    expand_k: 1,
    expand_v: 1,
    feature_map: 'relu',
    use_output_gate: false,
  },
  'gsa-7b': { model_type: 'gsa', ...SEVEN, num_slots: 64, gate_logit_normalizer: 8 },
  'gla-1.3b': { model_type: 'gla', hidden_size: 2048, ...FROM_SCRATCH },
  'gla-340m': {
    model_type: 'gla',
    hidden_size: 1024,
    ...FROM_SCRATCH,
    tie_word_embeddings: true,
  },
  'gla-tiny': { model_type: 'gla', ...TINY, expand_k: 1, use_output_gate: true },
  'gsa-tiny': { model_type: 'gsa', ...TINY, num_slots: 32 },
} satisfies Record<string, Json>

export type ShapeName = keyof typeof SHAPES

export const SHAPE_NAMES = Object.keys(SHAPES) as [ShapeName, ...ShapeName[]]

/** Files beside the weights, of the shipped model; a larger vocabulary has ids without text. */
const TEXT_FILES = ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json']

/** Writes all of a checkpoint but its weights: config.json with this content, and a tokenizer. */
export async function writeModelFolder(folder: string, config: Json): Promise<void> {
  await mkdir(folder, { recursive: true })
  await Bun.write(join(folder, 'config.json'), JSON.stringify(config, undefined, 2))
  for (const name of TEXT_FILES) await copyFile(join(EMBEDDED_MODEL, name), join(folder, name))
}

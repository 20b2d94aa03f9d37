// Small softmax models to convert, and the options of a conversion as they come from a command line.

import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseCommandLine } from '../../src/command-line.ts'
import type { ConvertOptions } from '../../src/config-convert.ts'
import { type ConversionHooks, convertCheckpoint } from '../../src/conversion/convert-checkpoint.ts'
import { type ConversionPlan, planConversion } from '../../src/conversion/plan.ts'
import { openCheckpoint } from '../../src/loader/checkpoint.ts'
import type { Json, Tensors } from '../helpers/checkpoints.ts'
import { shipped } from '../helpers/model.ts'
import { randomTensors, writeModel } from '../helpers/random-model.ts'

export const MISTRAL = join(shipped, 'tales-mistral-5m')

/** Grouped heads, a vocabulary that the shipped tokenizer fits in, weights of their own in the head. */
export const LLAMA: Json = {
  model_type: 'llama',
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 3,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  vocab_size: 4096,
  rms_norm_eps: 1e-5,
  rope_theta: 500000,
  max_position_embeddings: 1024,
  bos_token_id: 1,
  eos_token_id: 2,
}

/** What a source differs in from a small Llama. */
export interface SourceOverrides {
  config?: Json
  dtype?: string
  tensors?: (tensors: Tensors) => void
}

/** Writes a Llama with random weights and a tokenizer. Returns its tensors. */
export async function writeLlama(
  folder: string,
  { config, dtype = 'BF16', tensors }: SourceOverrides = {},
): Promise<Tensors> {
  const json = { ...LLAMA, ...config }
  // Names and shapes follow from the rest, and these could not be served.
  const unserved = {
    attention_bias: undefined,
    rope_scaling: undefined,
    rope_parameters: undefined,
  }
  const written = randomTensors({ ...json, ...unserved }, dtype)
  tensors?.(written)
  await writeModel(folder, json, written)
  for (const name of ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json']) {
    await copyFile(join(MISTRAL, name), join(folder, name))
  }
  return written
}

/** The options of `glaze convert SOURCE OUT …`. */
export function optionsOf(source: string, out: string, args: readonly string[]): ConvertOptions {
  const parsed = parseCommandLine(['convert', source, out, ...args], {})
  if (parsed.command !== 'convert') throw new Error(`parsed as ${parsed.command}`)
  return parsed.options
}

/** Converts a folder. */
export function convertFolder(
  source: string,
  out: string,
  args: readonly string[],
  hooks?: ConversionHooks,
) {
  return convertCheckpoint({ folder: source, label: source }, optionsOf(source, out, args), hooks)
}

/** What would be done with a folder. */
export async function planOf(source: string, args: readonly string[]): Promise<ConversionPlan> {
  await using checkpoint = await openCheckpoint(source)
  return planConversion(checkpoint, optionsOf(source, '/nowhere', args))
}

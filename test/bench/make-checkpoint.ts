// `bun test/bench/make-checkpoint.ts SHAPE FOLDER`: a checkpoint with the shape of a published model
// and random weights, for measuring what such a model costs.
import { type Json, writeRandomCheckpoint } from './random-checkpoint.ts'

const SEVEN = {
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: 32,
  num_heads: 32,
  num_kv_heads: 8,
  vocab_size: 32000,
}

/** What matters of each config.json. */
const SHAPES: Readonly<Record<string, Json>> = {
  'gla-7b': { model_type: 'gla', ...SEVEN, expand_k: 1, expand_v: 1, use_output_gate: false },
  'gsa-7b': { model_type: 'gsa', ...SEVEN, num_slots: 64, gate_logit_normalizer: 8 },
  'gla-1.3b': { model_type: 'gla', hidden_size: 2048, num_hidden_layers: 24, vocab_size: 32000 },
  'gla-340m': { model_type: 'gla', hidden_size: 1024, num_hidden_layers: 24, vocab_size: 32000 },
}

const [shape, folder] = process.argv.slice(2)
const config = SHAPES[shape]
if (config === undefined || folder === undefined) {
  const shapes = Object.keys(SHAPES).join(' | ')
  console.error(`usage: bun test/bench/make-checkpoint.ts ${shapes} FOLDER`)
  process.exit(1)
}
const bytes = await writeRandomCheckpoint(folder, config)
console.log(`${folder}: ${(bytes / 2 ** 30).toFixed(1)} GiB`)

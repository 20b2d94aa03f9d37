// Checkpoints of any shape with random weights: speed depends on shapes, not on what was learned.
import { copyFile, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { type MixerConfig, type ModelConfig, parseModelConfig } from '../../models/config.ts'
import { EMBEDDED_MODEL } from '../../src/serve.ts'
import { Random } from '../helpers/numbers.ts'

/** Values drawn; written again and again. A prime, so that no two rows of a matrix are equal. */
const VALUES = 1_048_573
const SPREAD = 0.02
/** Files beside the weights, of the shipped model; a larger vocabulary has ids without text. */
const TEXT_FILES = ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json']

export type Json = Record<string, unknown>
type NamedShape = [name: string, shape: readonly number[]]

/** Writes a float16 checkpoint for this content of config.json. Returns the bytes of its weights. */
export async function writeRandomCheckpoint(folder: string, config: Json): Promise<number> {
  await mkdir(folder, { recursive: true })
  const configFile = join(folder, 'config.json')
  await Bun.write(configFile, JSON.stringify(config))
  for (const name of TEXT_FILES) await copyFile(join(EMBEDDED_MODEL, name), join(folder, name))
  const shapes = [...tensorShapes(parseModelConfig(config, configFile))]
  return await writeWeights(join(folder, 'model.safetensors'), shapes)
}

async function writeWeights(path: string, shapes: readonly NamedShape[]): Promise<number> {
  const header: Json = {}
  let bytes = 0
  for (const [name, shape] of shapes) {
    const size = 2 * shape.reduce((product, n) => product * n, 1)
    header[name] = { dtype: 'F16', shape, data_offsets: [bytes, bytes + size] }
    bytes += size
  }
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  const random = Buffer.from(new Float16Array(new Random(1).normals(VALUES, SPREAD)).buffer)
  const ones = Buffer.from(new Float16Array(VALUES).fill(1).buffer)

  await using file = await open(path, 'w')
  await file.write(Buffer.concat([length, text]))
  let at = 0
  for (const [name, shape] of shapes) {
    const block = name.endsWith('norm.weight') ? ones : random
    for (let left = 2 * shape.reduce((product, n) => product * n, 1); left > 0; ) {
      const from = at % block.length
      const { bytesWritten } = await file.write(block.subarray(from, from + left))
      at += bytesWritten
      left -= bytesWritten
    }
  }
  return bytes
}

/** Names and shapes of all tensors, as flash-linear-attention writes them today. */
function* tensorShapes(config: ModelConfig): Generator<NamedShape> {
  const { hiddenSize: D, innerSize: I, vocabSize } = config
  yield ['model.embeddings.weight', [vocabSize, D]]
  for (const [i, mixer] of config.layers.entries()) {
    const layer = `model.layers.${i}`
    yield [`${layer}.attn_norm.weight`, [D]]
    for (const [name, shape] of mixerShapes(mixer, D)) yield [`${layer}.attn.${name}`, shape]
    yield [`${layer}.mlp_norm.weight`, [D]]
    yield [`${layer}.mlp.gate_proj.weight`, [I, D]]
    yield [`${layer}.mlp.up_proj.weight`, [I, D]]
    yield [`${layer}.mlp.down_proj.weight`, [D, I]]
  }
  yield ['model.norm.weight', [D]]
  if (!config.tiedEmbeddings) yield ['lm_head.weight', [vocabSize, D]]
}

function* mixerShapes(mixer: MixerConfig, D: number): Generator<NamedShape> {
  const { heads, kvHeads } = mixer
  const isSoftmax = mixer.kind === 'softmax'
  const keyDim = isSoftmax ? mixer.headDim : mixer.keyDim
  const valueDim = isSoftmax ? mixer.headDim : mixer.valueDim
  const projections = { q: heads * keyDim, k: kvHeads * keyDim, v: kvHeads * valueDim }
  for (const [name, rows] of Object.entries(projections)) {
    yield [`${name}_proj.weight`, [rows, D]]
    if (isSoftmax && mixer.qkvBias) yield [`${name}_proj.bias`, [rows]]
    if (!isSoftmax && mixer.convSize > 0) {
      yield [`${name}_conv1d.weight`, [rows, 1, mixer.convSize]]
    }
  }
  yield ['o_proj.weight', [D, heads * valueDim]]
  if (isSoftmax) return
  if (mixer.outputNormWeight) yield ['g_norm.weight', [mixer.kind === 'gla' ? valueDim : D]]
  if (mixer.kind === 'gsa') {
    yield ['f_proj.weight', [kvHeads * mixer.slots, D]]
    if (mixer.featureMap === 't2r') yield ['feature_map.layer.weight', [keyDim, keyDim]]
    return
  }
  yield ['gk_proj.0.weight', [mixer.gateRank, D]]
  yield ['gk_proj.1.weight', [kvHeads * keyDim, mixer.gateRank]]
  yield ['gk_proj.1.bias', [kvHeads * keyDim]]
  if (mixer.outputGate) yield ['g_proj.weight', [heads * valueDim, D]]
}

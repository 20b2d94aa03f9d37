// Checkpoint folders for tests: a writer of safetensors files, and a tiny sound model that a test
// changes in one place.

import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openCheckpoint } from '../../src/loader/checkpoint.ts'
import { Random } from './numbers.ts'

/** The shipped model whose tokenizer tiny checkpoints borrow. */
const TOKENIZER_FOLDER = join(import.meta.dir, '../../models/checkpoints/tales-gla-5m')

/** Values to be encoded in `dtype`, or bytes to be written as they are. */
export interface TensorData {
  dtype: string
  shape: number[]
  data: Float32Array | Uint8Array
}

export type Tensors = Record<string, TensorData>

export type Json = Record<string, unknown>

/** Little-endian bytes of values as F32, F16 or BF16, rounded to the nearest, ties to even. */
export function encodeValues(values: Float32Array, dtype: string): Uint8Array {
  if (dtype === 'F32') return new Uint8Array(values.slice().buffer)
  if (dtype === 'F16') return new Uint8Array(new Float16Array(values).buffer)
  if (dtype !== 'BF16') throw new Error(`no encoding for ${dtype}`)
  const bits = new Uint32Array(values.slice().buffer)
  const halves = Uint16Array.from(bits, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16)
  return new Uint8Array(halves.buffer)
}

/** Writes a file of tensors, in the order given and without gaps. */
export async function writeSafetensors(path: string, tensors: Tensors): Promise<void> {
  const header: Json = {}
  const parts: Uint8Array[] = []
  let offset = 0
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    const bytes = data instanceof Uint8Array ? data : encodeValues(data, dtype)
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] }
    parts.push(bytes)
    offset += bytes.length
  }
  await writeRawSafetensors(path, JSON.stringify(header), Buffer.concat(parts))
}

/** Writes a file with any header text, sound or not. */
export async function writeRawSafetensors(
  path: string,
  header: string,
  data: Uint8Array,
  headerLength = Buffer.byteLength(header),
): Promise<void> {
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(headerLength))
  await writeFile(path, Buffer.concat([length, Buffer.from(header), data]))
}

/** All tensors of a sound checkpoint as stored bytes, to be changed and written again. */
export async function readTensors(folder: string): Promise<Tensors> {
  await using checkpoint = await openCheckpoint(folder)
  const tensors: Tensors = {}
  for (const [name, tensor] of checkpoint.tensors) {
    const { dtype, shape } = tensor
    tensors[name] = { dtype, shape: [...shape], data: await tensor.readRows(0, shape[0]) }
  }
  return tensors
}

/** What a tiny checkpoint differs in. */
export interface SmallOverrides {
  kind?: 'gla' | 'gsa'
  /** Keys to set in config.json; undefined removes a key. */
  config?: Json
  /** Changes tensors before they are written. */
  tensors?: (tensors: Tensors) => void
}

/** Sizes of tiny checkpoints. The vocabulary is that of the borrowed tokenizer. */
const SMALL = { vocab: 4096, D: 32, I: 64, layers: 2, heads: 4, kvHeads: 2, dim: 8, slots: 8 }

/** Writes a sound tiny GLA (default) or GSA checkpoint in float16, tokenizer included. */
export async function smallCheckpoint(
  folder: string,
  overrides: SmallOverrides = {},
): Promise<void> {
  const kind = overrides.kind ?? 'gla'
  const tensors = smallTensors(kind)
  overrides.tensors?.(tensors)
  await mkdir(folder, { recursive: true })
  await writeJson(join(folder, 'config.json'), { ...smallConfig(kind), ...overrides.config })
  await writeSafetensors(join(folder, 'model.safetensors'), tensors)
  for (const name of ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json']) {
    await copyFile(join(TOKENIZER_FOLDER, name), join(folder, name))
  }
}

/** Splits tensors over shards in turn and writes the index. Returns the index's content. */
export async function writeShards(folder: string, tensors: Tensors, count: number) {
  const weightMap: Record<string, string> = {}
  const shards = Array.from({ length: count }, (_, i) => ({
    name: `model-0000${i + 1}-of-0000${count}.safetensors`,
    tensors: {} as Tensors,
  }))
  for (const [index, [name, tensor]] of Object.entries(tensors).entries()) {
    const shard = shards[index % count]
    shard.tensors[name] = tensor
    weightMap[name] = shard.name
  }
  await mkdir(folder, { recursive: true })
  for (const shard of shards) await writeSafetensors(join(folder, shard.name), shard.tensors)
  const index = { metadata: {}, weight_map: weightMap }
  await writeJson(join(folder, 'model.safetensors.index.json'), index)
  return index
}

export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, JSON.stringify(value))
}

function smallConfig(kind: 'gla' | 'gsa'): Json {
  const common = {
    model_type: kind,
    hidden_size: SMALL.D,
    intermediate_size: SMALL.I,
    num_hidden_layers: SMALL.layers,
    num_heads: SMALL.heads,
    num_kv_heads: SMALL.kvHeads,
    vocab_size: SMALL.vocab,
    tie_word_embeddings: true,
    norm_eps: 1e-5,
    bos_token_id: 1,
    eos_token_id: 2,
  }
  return kind === 'gla'
    ? { ...common, expand_k: 1, expand_v: 1, use_output_gate: false, feature_map: 'relu' }
    : { ...common, num_slots: SMALL.slots, gate_logit_normalizer: 8, feature_map: 'swish' }
}

/** Random weights under today's names. */
function smallTensors(kind: 'gla' | 'gsa'): Tensors {
  const { D, I, heads, kvHeads, dim, slots } = SMALL
  const tensors: Tensors = {}
  const random = new Random(7)
  const add = (name: string, shape: number[], mean = 0, spread = 0.3) => {
    const size = shape.reduce((product, n) => product * n, 1)
    const data = Float32Array.from(
      { length: size },
      () => mean + spread * (2 * random.uniform() - 1),
    )
    tensors[`model.${name}.weight`] = { dtype: 'F16', shape, data }
  }
  add('embeddings', [SMALL.vocab, D])
  add('norm', [D], 1)
  for (let i = 0; i < SMALL.layers; i++) {
    const layer = `layers.${i}`
    add(`${layer}.attn_norm`, [D], 1)
    add(`${layer}.mlp_norm`, [D], 1)
    add(`${layer}.mlp.gate_proj`, [I, D])
    add(`${layer}.mlp.up_proj`, [I, D])
    add(`${layer}.mlp.down_proj`, [D, I])
    add(`${layer}.attn.q_proj`, [heads * dim, D])
    add(`${layer}.attn.k_proj`, [kvHeads * dim, D])
    add(`${layer}.attn.v_proj`, [kvHeads * dim, D])
    add(`${layer}.attn.o_proj`, [D, heads * dim])
    add(`${layer}.attn.g_norm`, [kind === 'gla' ? dim : D], 1)
    if (kind === 'gsa') {
      add(`${layer}.attn.f_proj`, [kvHeads * slots, D])
      continue
    }
    add(`${layer}.attn.gk_proj.0`, [16, D])
    add(`${layer}.attn.gk_proj.1`, [kvHeads * dim, 16])
    const bias = { dtype: 'F16', shape: [kvHeads * dim], data: new Float32Array(kvHeads * dim) }
    tensors[`model.${layer}.attn.gk_proj.1.bias`] = bias
  }
  return tensors
}

// Checkpoints of any shape with random weights: speed depends on shapes, not on what was learned.
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { parseModelConfig } from '../../models/config.ts'
import { encodeValues } from '../helpers/checkpoints.ts'
import { Random } from '../helpers/numbers.ts'
import { writeModelFolder } from './shapes.ts'
import { type NamedShape, tensorShapes } from './tensor-shapes.ts'

export type Json = Record<string, unknown>

/** Values drawn; written again and again. A prime, so that no two rows of a matrix are equal. */
const VALUES = 1_048_573
/** Spread of biases. */
const BIAS_SPREAD = 0.02
const ITEM_BYTES = 2
/** Largest files, as Hugging Face's own tools write them. */
export const SHARD_BYTES = 5e9

/**
 * Writes a bfloat16 checkpoint for this content of config.json: one file, or shards and their index
 * if the weights are larger than `shardBytes`. Matrices are scaled so that numbers keep their size
 * from layer to layer. Returns the bytes of the weights.
 */
export async function writeRandomCheckpoint(
  folder: string,
  config: Json,
  shardBytes = SHARD_BYTES,
): Promise<number> {
  await writeModelFolder(folder, config)
  const shapes = [...tensorShapes(parseModelConfig(config, join(folder, 'config.json')))]
  const shards = splitShards(shapes, shardBytes)
  const blocks = new Blocks()
  const names = shards.map((_, i) => shardName(i, shards.length))
  for (const [i, shard] of shards.entries()) {
    await writeShard(join(folder, names[i]), shard, blocks)
  }
  const bytes = sumBytes(shapes)
  if (shards.length > 1) {
    const files = shards.flatMap((shard, i) => shard.map(([name]) => [name, names[i]]))
    const index = { metadata: { total_size: bytes }, weight_map: Object.fromEntries(files) }
    await Bun.write(join(folder, 'model.safetensors.index.json'), JSON.stringify(index))
  }
  return bytes
}

/** Tensors in order, a new file wherever the next one would be over the limit. */
function splitShards(shapes: readonly NamedShape[], limit: number): NamedShape[][] {
  const shards: NamedShape[][] = []
  let room = 0
  for (const tensor of shapes) {
    const bytes = sumBytes([tensor])
    if (shards.length === 0 || bytes > room) {
      shards.push([])
      room = limit
    }
    shards[shards.length - 1].push(tensor)
    room -= bytes
  }
  return shards
}

function shardName(index: number, count: number): string {
  const five = (number: number) => String(number).padStart(5, '0')
  return count === 1
    ? 'model.safetensors'
    : `model-${five(index + 1)}-of-${five(count)}.safetensors`
}

async function writeShard(
  path: string,
  shapes: readonly NamedShape[],
  blocks: Blocks,
): Promise<void> {
  const header: Json = {}
  let bytes = 0
  for (const [name, shape] of shapes) {
    const end = bytes + sumBytes([[name, shape]])
    header[name] = { dtype: 'BF16', shape, data_offsets: [bytes, end] }
    bytes = end
  }
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  await using file = await open(path, 'w')
  await file.write(Buffer.concat([length, text]))
  for (const tensor of shapes) await writeTensor(file, tensor, blocks)
}

async function writeTensor(file: FileHandle, tensor: NamedShape, blocks: Blocks): Promise<void> {
  const block = blocks.of(tensor)
  for (let left = sumBytes([tensor]); left > 0; ) {
    const from = blocks.written % block.length
    const { bytesWritten } = await file.write(block.subarray(from, from + left))
    blocks.written += bytesWritten
    left -= bytesWritten
  }
}

function sumBytes(shapes: readonly NamedShape[]): number {
  return shapes.reduce((sum, [, shape]) => sum + shape.reduce((a, b) => a * b, ITEM_BYTES), 0)
}

/** Values to write, by their spread. */
class Blocks {
  /** Bytes so far: each tensor goes on in its block where the one before it ended. */
  written = 0
  readonly #bySpread = new Map<number, Buffer>()
  readonly #normals = new Random(1).normals(VALUES)
  readonly #ones = bfloat16(new Float32Array(VALUES).fill(1))

  of([name, shape]: NamedShape): Buffer {
    if (name.endsWith('norm.weight')) return this.#ones
    const inputs = shape.slice(1).reduce((a, b) => a * b, 1)
    const spread = shape.length === 1 ? BIAS_SPREAD : inputs ** -0.5
    let block = this.#bySpread.get(spread)
    if (block === undefined) {
      block = bfloat16(this.#normals.map((value) => value * spread))
      this.#bySpread.set(spread, block)
    }
    return block
  }
}

function bfloat16(values: Float32Array): Buffer {
  return Buffer.from(encodeValues(values, 'BF16').buffer)
}

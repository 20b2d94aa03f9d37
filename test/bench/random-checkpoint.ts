// Checkpoints of any shape with random weights: speed depends on shapes, not on what was learned.
import { join } from 'node:path'
import { parseModelConfig } from '../../models/config.ts'
import { type NamedShape, tensorShapes } from '../../models/tensor-shapes.ts'
import { type Dtype, ITEM_BYTES } from '../../src/loader/convert.ts'
import { isNormWeight } from '../../src/loader/noise.ts'
import { weightBytes, writeWeights } from '../../src/loader/safetensors-writer.ts'
import { elementCount, rowLength } from '../../src/loader/tensor-source.ts'
import { encodeValues } from '../helpers/checkpoints.ts'
import { Random } from '../helpers/numbers.ts'
import { writeModelFolder } from './shapes.ts'

export type Json = Record<string, unknown>

/** Values drawn; written again and again. A prime, so that no two rows of a matrix are equal. */
const VALUES = 1_048_573
/** Spread of biases. */
const BIAS_SPREAD = 0.02
const DTYPE: Dtype = 'BF16'
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
  const blocks = new Blocks()
  const tensors = [...tensorShapes(parseModelConfig(config, join(folder, 'config.json')))].map(
    ([name, shape]) => ({ name, shape, dtype: DTYPE, blocks: () => blocks.of([name, shape]) }),
  )
  await writeWeights(folder, tensors, { maxShardBytes: shardBytes })
  return weightBytes(tensors)
}

/** Values to write, by their spread. */
class Blocks {
  /** Bytes so far: each tensor goes on in its values where the one before it ended. */
  #written = 0
  readonly #bySpread = new Map<number, Buffer>()
  readonly #normals = new Random(1).normals(VALUES)
  readonly #ones = bfloat16(new Float32Array(VALUES).fill(1))

  #valuesFor(name: string, shape: readonly number[]): Buffer {
    if (isNormWeight(name)) return this.#ones
    const spread = shape.length === 1 ? BIAS_SPREAD : rowLength(shape) ** -0.5
    let values = this.#bySpread.get(spread)
    if (values === undefined) {
      values = bfloat16(this.#normals.map((value) => value * spread))
      this.#bySpread.set(spread, values)
    }
    return values
  }

  /** The bytes of a tensor, in pieces of the values that were drawn. */
  *of([name, shape]: NamedShape): Generator<Uint8Array> {
    const values = this.#valuesFor(name, shape)
    for (let left = elementCount(shape) * ITEM_BYTES[DTYPE]; left > 0; ) {
      const from = this.#written % values.length
      const piece = values.subarray(from, from + left)
      yield piece
      this.#written += piece.length
      left -= piece.length
    }
  }
}

function bfloat16(values: Float32Array): Buffer {
  return Buffer.from(encodeValues(values, DTYPE).buffer)
}

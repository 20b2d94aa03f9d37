// Writes safetensors: one file, or shards and the index that says which tensor is where. Tensors
// come in blocks, so that no more than a block of a model is ever in memory.

import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { invariant } from '../errors.ts'
import { INDEX, WEIGHTS } from '../weight-files.ts'
import { type Dtype, ITEM_BYTES } from './convert.ts'
import { elementCount } from './tensor-source.ts'

/** The header is padded to a multiple of this, so that data begins aligned. */
const ALIGNMENT = 8

/** A tensor to be written, its bytes little-endian in `dtype`. */
export interface TensorToWrite {
  name: string
  shape: readonly number[]
  dtype: Dtype
  /** All bytes in order, in blocks of any size. A block is written before the next is asked for. */
  blocks(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}

/** What the writer needs of an open file. */
export type WritableFile = Pick<FileHandle, 'writeFile' | 'close'>

export interface WriteOptions {
  /** A file begins anew before it would pass this many bytes; a tensor is never cut. */
  maxShardBytes: number
  /** Called after each block with all bytes of tensors so far. */
  onProgress?: (doneBytes: number) => void
  /** Opens a file for writing; of the file system if left out. */
  openFile?: (path: string) => Promise<WritableFile>
}

/** Bytes of tensors, without headers. */
export function weightBytes(tensors: readonly Omit<TensorToWrite, 'blocks'>[]): number {
  return tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0)
}

/**
 * Writes tensors into a folder in the order given, under the names that Hugging Face uses.
 * Returns the names of the files written. Errors of the system pass through.
 */
export async function writeWeights(
  folder: string,
  tensors: readonly TensorToWrite[],
  options: WriteOptions,
): Promise<string[]> {
  const { openFile = (path: string) => open(path, 'wx') } = options
  const shards = splitShards(tensors, options.maxShardBytes)
  const names = shards.map((_, i) => shardName(i, shards.length))
  let done = 0
  const create = async (name: string, write: (file: WritableFile) => Promise<void>) => {
    const file = await openFile(join(folder, name))
    try {
      await write(file)
    } finally {
      await file.close()
    }
  }
  for (const [i, shard] of shards.entries()) {
    await create(names[i], async (file) => {
      await file.writeFile(headerOf(shard))
      for (const tensor of shard) {
        const end = done + tensorBytes(tensor)
        for await (const block of tensor.blocks()) {
          await file.writeFile(block)
          done += block.length
          options.onProgress?.(done)
        }
        invariant(done === end, `bytes of ${tensor.name}`)
      }
    })
  }
  if (shards.length === 1) return names
  const entries = shards.flatMap((shard, i) => shard.map(({ name }) => [name, names[i]]))
  const index = { metadata: { total_size: done }, weight_map: Object.fromEntries(entries) }
  await create(INDEX, (file) => file.writeFile(`${JSON.stringify(index, undefined, 2)}\n`))
  return [...names, INDEX]
}

/** Tensors in order, a new file wherever the next one would be over the limit. */
function splitShards(tensors: readonly TensorToWrite[], limit: number): TensorToWrite[][] {
  const shards: TensorToWrite[][] = []
  let room = 0
  for (const tensor of tensors) {
    const bytes = tensorBytes(tensor)
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
  return count === 1 ? WEIGHTS : `model-${five(index + 1)}-of-${five(count)}.safetensors`
}

/** Length and header of a file; transformers insist on the format in its metadata. */
function headerOf(shard: readonly TensorToWrite[]): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } }
  let begin = 0
  for (const tensor of shard) {
    const { name, dtype, shape } = tensor
    const end = begin + tensorBytes(tensor)
    header[name] = { dtype, shape, data_offsets: [begin, end] }
    begin = end
  }
  const text = JSON.stringify(header)
  const padded = text + ' '.repeat(-Buffer.byteLength(text) & (ALIGNMENT - 1))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(padded)))
  return Buffer.concat([length, Buffer.from(padded)])
}

function tensorBytes({ shape, dtype }: Omit<TensorToWrite, 'blocks'>): number {
  return elementCount(shape) * ITEM_BYTES[dtype]
}

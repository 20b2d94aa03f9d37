// The bytes of each tensor of a new model, a block at a time.

import { decode, ITEM_BYTES } from '../loader/convert.ts'
import { encode } from '../loader/encode.ts'
import type { StoredTensor } from '../loader/safetensors.ts'
import { rowLength } from '../loader/tensor-source.ts'
import { newBlocks } from './initialize.ts'
import type { ConversionPlan, PlannedTensor } from './plan.ts'

/** Bytes that are read at a time, or one row if that is larger. */
const BLOCK_BYTES = 2 ** 20

/** Copied unchanged, copied in another type, or new. Throws the reason of `signal` once it ends. */
export async function* blocksOf(
  tensor: PlannedTensor,
  { source: { initializerRange } }: ConversionPlan,
  seed: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const blocks =
    tensor.from === undefined
      ? newBlocks(tensor, seed, initializerRange)
      : copiedBlocks(tensor, tensor.from)
  for await (const block of blocks) {
    signal?.throwIfAborted()
    yield block
  }
}

async function* copiedBlocks({ dtype }: PlannedTensor, from: StoredTensor) {
  const rowElements = rowLength(from.shape)
  const rowBytes = rowElements * ITEM_BYTES[from.dtype]
  const rows = from.shape[0]
  const blockRows = Math.min(rows, Math.max(1, Math.floor(BLOCK_BYTES / rowBytes)))
  const buffer = new Uint8Array(blockRows * rowBytes)
  for (let row = 0; row < rows; row += blockRows) {
    const count = Math.min(blockRows, rows - row)
    const stored = await from.readRows(row, count, buffer.subarray(0, count * rowBytes))
    yield dtype === from.dtype
      ? stored
      : encode(decode(stored, from.dtype), dtype, from, row * rowElements)
  }
}

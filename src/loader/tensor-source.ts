// A tensor to be read in blocks of rows, and other ways to look at one: some of its rows, another
// shape, all of it as numbers.

import { invariant } from '../errors.ts'
import { type Dtype, ITEM_BYTES, toFloat32 } from './convert.ts'
import type { Noise } from './noise.ts'

/**
 * A matrix or vector of a checkpoint. A row is one step along the first dimension (of a vector:
 * one element); rows follow each other without padding.
 */
export interface TensorSource {
  /** Name in the checkpoint; a part of a stored tensor has its rows appended, as in `name[64:128]`. */
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: Dtype
  /** File that the tensor is stored in, for errors. */
  readonly file: string
  /** Of tensors that are made up and not read: how, so that the GPU can do it. */
  readonly noise?: Noise
  /**
   * Raw little-endian elements, in `dtype`, of rows [first, first + count): in `into`, which must
   * have their size, or else in memory of their own. Throws CheckpointError if the file cannot be read.
   */
  readRows(first: number, count: number, into?: Uint8Array): Promise<Uint8Array>
}

/** A run of rows of a stored tensor. */
export interface RowSpan {
  first: number
  count: number
}

/** Number of elements of a shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}

/** Elements in one row of a shape. */
export function rowLength(shape: readonly number[]): number {
  return elementCount(shape.slice(1))
}

/** The rows of `source` that `spans` lists, in that order; rows may repeat. */
export function selectRows(
  source: TensorSource,
  spans: readonly RowSpan[],
  name: string,
): TensorSource {
  const total = spans.reduce((sum, span) => sum + span.count, 0)
  const rowBytes = rowLength(source.shape) * ITEM_BYTES[source.dtype]
  return {
    name,
    shape: [total, ...source.shape.slice(1)],
    dtype: source.dtype,
    file: source.file,
    async readRows(first, count, into = new Uint8Array(count * rowBytes)) {
      invariant(first >= 0 && count >= 0 && first + count <= total, `rows of ${name}`)
      let spanStart = 0
      for (const span of spans) {
        const from = Math.max(first, spanStart)
        const to = Math.min(first + count, spanStart + span.count)
        if (from < to) {
          const part = into.subarray((from - first) * rowBytes, (to - first) * rowBytes)
          await source.readRows(span.first + from - spanStart, to - from, part)
        }
        spanStart += span.count
      }
      return into
    },
  }
}

/** The same elements under another shape with rows of the same length. */
export function reshape(source: TensorSource, shape: readonly number[]): TensorSource {
  invariant(
    shape[0] === source.shape[0] && elementCount(shape) === elementCount(source.shape),
    `shape of ${source.name}`,
  )
  return {
    name: source.name,
    shape,
    dtype: source.dtype,
    file: source.file,
    readRows: (first, count, into) => source.readRows(first, count, into),
  }
}

/**
 * A whole small tensor, such as a norm's weights, as float32.
 * Throws CheckpointError for NaN and infinity.
 */
export async function readVector(source: TensorSource): Promise<Float32Array> {
  return toFloat32(await source.readRows(0, source.shape[0]), source, 0)
}

// Elements of small stored tensors as float32 values, and what is wrong with an element that cannot
// be a weight. Large tensors are converted by kernels/repack.wgsl. Hosts are little-endian.

import { CheckpointError } from '../errors.ts'
import type { MatrixType } from '../gpu/matrix.ts'
import { LARGEST, type StoredType } from '../gpu/repack.ts'

/** Element types that weights may be stored in. */
export type Dtype = StoredType

/** Bytes of one element. */
export const ITEM_BYTES: Readonly<Record<Dtype, number>> = { F32: 4, F16: 2, BF16: 2 }

/** What an error has to say about the tensor that elements came from. */
export interface Origin {
  name: string
  file: string
  dtype: Dtype
}

/**
 * Converts little-endian elements to float32, exactly.
 * `first` is the position of the first element in its tensor; errors name positions from there.
 * Throws CheckpointError for NaN and infinity.
 */
export function toFloat32(bytes: Uint8Array, origin: Origin, first: number): Float32Array {
  const values = decode(bytes, origin.dtype)
  const bad = values.findIndex((value) => !Number.isFinite(value))
  if (bad !== -1) throw unusable(values[bad], origin, first + bad, 'f32')
  return values
}

/** The error for a value at a position of a tensor that a matrix of this type cannot hold. */
export function unusable(
  value: number,
  { name, file }: Origin,
  position: number,
  type: MatrixType,
): CheckpointError {
  const where = `tensor ${name}, element ${position}`
  if (!Number.isFinite(value)) {
    return new CheckpointError(file, `${where}: found ${value}; weights must be finite`)
  }
  if (type === 'int8' || type === 'int4') {
    return new CheckpointError(
      file,
      `${where}: ${value} does not fit in ${type} with float16 scales (at most ${LARGEST[type]}); ` +
        'use --quantization none --dtype float32',
    )
  }
  return new CheckpointError(
    file,
    `${where}: ${value} does not fit in float16 (at most ${LARGEST.f16}); use --dtype float32`,
  )
}

/** Little-endian elements as float32 values, exactly. */
export function decode(bytes: Uint8Array, dtype: Dtype): Float32Array {
  // Views want their alignment.
  const { buffer, byteOffset } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice()
  const count = bytes.length / ITEM_BYTES[dtype]
  if (dtype === 'F32') return new Float32Array(buffer, byteOffset, count)
  if (dtype === 'F16') return new Float32Array(new Float16Array(buffer, byteOffset, count))
  const halves = new Uint16Array(buffer, byteOffset, count)
  // A loop: with Uint32Array.from a million take 31 ms, so 1.2 (Bun 1.4.5, 2026-11-24).
  const words = new Uint32Array(count)
  for (let i = 0; i < count; i++) words[i] = halves[i] << 16
  return new Float32Array(words.buffer)
}

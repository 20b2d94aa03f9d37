// Numbers as elements of a stored tensor: the way back of convert.ts.

import { CheckpointError } from '../errors.ts'
import type { Dtype, Origin } from './convert.ts'

/** Least sizes that become infinite: half a step above the largest number of each type. */
const OVERFLOWS: Readonly<Record<Dtype, number>> = {
  F32: Number.POSITIVE_INFINITY,
  F16: 65520,
  BF16: 2 ** 128 - 2 ** 119,
}

/**
 * Little-endian elements of these values, rounded to the nearest, ties to even.
 * Throws CheckpointError, naming position `first` + i, for a value that is not finite in `dtype`.
 */
export function encode(
  values: Float32Array,
  dtype: Dtype,
  origin: Origin,
  first: number,
): Uint8Array {
  const limit = OVERFLOWS[dtype]
  for (let i = 0; i < values.length; i++) {
    // Written so that NaN is caught too.
    if (!(Math.abs(values[i]) < limit)) throw unwritable(values[i], dtype, origin, first + i)
  }
  return bytesOf(values, dtype)
}

function unwritable(
  value: number,
  dtype: Dtype,
  { name, file }: Origin,
  position: number,
): CheckpointError {
  const reason = Number.isFinite(value) ? `does not fit in ${dtype}` : 'weights must be finite'
  const where = `tensor ${name}, element ${position}`
  return new CheckpointError(file, `${where}: found ${value}; ${reason}`)
}

function bytesOf(values: Float32Array, dtype: Dtype): Uint8Array {
  if (dtype === 'F32') return new Uint8Array(values.slice().buffer)
  if (dtype === 'F16') return new Uint8Array(new Float16Array(values).buffer)
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const halves = new Uint16Array(values.length)
  for (let i = 0; i < bits.length; i++) {
    halves[i] = (bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) >>> 16
  }
  return new Uint8Array(halves.buffer)
}

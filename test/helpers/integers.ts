// Integer matrices and activations for tests of kernels.
import { alignUp, type BufferRange, type Buffers } from '../../src/gpu/buffers.ts'
import { QUANT_GROUP } from '../../src/gpu/matrix.ts'
import type { Random } from './numbers.ts'

/** Random integers in rows of `stride`, zero past `columns`, with a scale for each group. */
export function randomGroups(
  random: Random,
  rows: number,
  columns: number,
  limits: [number, number],
) {
  const stride = alignUp(columns, QUANT_GROUP)
  const ints = new Int8Array(rows * stride)
  const scales = new Float32Array((rows * stride) / QUANT_GROUP)
  const values = new Float32Array(rows * columns)
  const [least, most] = limits
  for (let g = 0; g < scales.length; g++) {
    // Exact as float16.
    scales[g] = (1 + Math.floor(random.uniform() * 63)) / 4096
  }
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < columns; k++) {
      const at = row * stride + k
      ints[at] = least + Math.floor(random.uniform() * (most - least + 1))
      values[row * columns + k] = ints[at] * scales[Math.floor(at / QUANT_GROUP)]
    }
  }
  return { stride, ints, scales, values }
}

/** Bytes in a buffer of words. */
export async function uploadBytes(
  buffers: Buffers,
  label: string,
  bytes: Uint8Array | Int8Array,
): Promise<BufferRange> {
  const words = new Uint32Array(Math.ceil(bytes.length / 4))
  new Uint8Array(words.buffer).set(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length))
  return { buffer: await buffers.upload(label, words) }
}

/** Two nibbles a byte: numbers 8i + j low and 8i + 4 + j high. */
export function packNibbles(ints: Int8Array): Uint8Array {
  const bytes = new Uint8Array(ints.length / 2)
  for (let i = 0; i < bytes.length; i++) {
    const low = Math.floor(i / 4) * 8 + (i % 4)
    bytes[i] = (ints[low] & 15) | ((ints[low + 4] & 15) << 4)
  }
  return bytes
}

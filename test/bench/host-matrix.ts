// Rows of weights and activations, read back from the GPU as plain numbers.
import type { BufferRange, Buffers } from '../../src/gpu/buffers.ts'
import { type MatrixType, QUANT_GROUP } from '../../src/gpu/matrix.ts'

const BITS: Readonly<Record<MatrixType, number>> = { f32: 32, f16: 16, int8: 8, int4: 4 }

/** `count` numbers of a row of a weight matrix, from its start. */
export async function readWeightRow(
  buffers: Buffers,
  weights: BufferRange,
  scales: BufferRange | undefined,
  { type, stride }: { type: MatrixType; stride: number },
  row: number,
  count: number,
): Promise<Float64Array> {
  const bytes = await readBytes(
    buffers,
    weights,
    (row * stride * BITS[type]) / 8,
    (stride * BITS[type]) / 8,
  )
  if (type === 'f32') return Float64Array.from(new Float32Array(bytes)).subarray(0, count)
  if (type === 'f16') return Float64Array.from(new Float16Array(bytes)).subarray(0, count)
  const integers = type === 'int8' ? Float64Array.from(new Int8Array(bytes)) : nibbles(bytes)
  if (scales === undefined) throw new Error(`${type} weights without scales`)
  const groups = stride / QUANT_GROUP
  const halves = new Float16Array(await readBytes(buffers, scales, row * groups * 2, groups * 2))
  return integers
    .map((integer, i) => integer * halves[Math.floor(i / QUANT_GROUP)])
    .subarray(0, count)
}

/** `count` numbers of a row of activations: float32, or int8 with float32 scales. */
export async function readActivationRow(
  buffers: Buffers,
  rows: BufferRange,
  scales: BufferRange | undefined,
  stride: number,
  row: number,
  count: number,
): Promise<Float64Array> {
  if (scales === undefined) {
    const bytes = await readBytes(buffers, rows, row * stride * 4, stride * 4)
    return Float64Array.from(new Float32Array(bytes)).subarray(0, count)
  }
  const integers = new Int8Array(await readBytes(buffers, rows, row * stride, stride))
  const floats = new Float32Array(await readScales(buffers, scales, stride, row))
  return Float64Array.from(
    integers,
    (integer, i) => integer * floats[Math.floor(i / QUANT_GROUP)],
  ).subarray(0, count)
}

/** [stride / QUANT_GROUP] float32 of a row of activations. */
export function readScales(
  buffers: Buffers,
  scales: BufferRange,
  stride: number,
  row: number,
): Promise<ArrayBuffer> {
  const size = (stride / QUANT_GROUP) * 4
  return readBytes(buffers, scales, row * size, size)
}

/** Byte j of word i holds number 8i + j in its low and number 8i + 4 + j in its high nibble. */
function nibbles(bytes: ArrayBuffer): Float64Array {
  const packed = new Int8Array(bytes)
  const numbers = new Float64Array(2 * packed.length)
  for (const [i, byte] of packed.entries()) {
    const at = Math.floor(i / 4) * 8 + (i % 4)
    numbers[at] = (byte << 28) >> 28
    numbers[at + 4] = byte >> 4
  }
  return numbers
}

/** Any bytes of a range: copies begin and end at multiples of 4. */
async function readBytes(
  buffers: Buffers,
  { buffer, offset = 0 }: BufferRange,
  from: number,
  size: number,
): Promise<ArrayBuffer> {
  const first = Math.floor(from / 4) * 4
  const end = Math.ceil((from + size) / 4) * 4
  const bytes = await buffers.read({ buffer, offset: offset + first, size: end - first })
  return bytes.slice(from - first, from - first + size)
}

// Weight matrices as the GPU stores them, made number by number: the layouts of src/gpu/matrix.ts.
import { isQuantized, type MatrixType, QUANT_GROUP, rowStride } from '../../src/gpu/matrix.ts'

export interface StoredMatrix {
  /** [rows, stride] elements. */
  words: Uint32Array<ArrayBuffer>
  /** [rows, stride / 32] f16, two in a word; empty for floats. */
  scales: Uint32Array<ArrayBuffer>
  /** [rows, columns] the numbers that the matrix stands for. */
  values: Float32Array
}

/** Packs float32 values [rows, columns]. */
export function packMatrix(
  data: Float32Array,
  rows: number,
  columns: number,
  type: MatrixType,
): StoredMatrix {
  const stride = rowStride(columns, type)
  const padded = new Float32Array(rows * stride)
  for (let row = 0; row < rows; row++) {
    padded.set(data.subarray(row * columns, (row + 1) * columns), row * stride)
  }
  const { words, scales, values } = isQuantized(type)
    ? packIntegers(padded, type === 'int4' ? int4Group : int8Group, type)
    : packFloats(padded, type)
  const held = new Float32Array(rows * columns)
  for (let row = 0; row < rows; row++) {
    held.set(values.subarray(row * stride, row * stride + columns), row * columns)
  }
  return { words, scales, values: held }
}

function packFloats(padded: Float32Array<ArrayBuffer>, type: MatrixType): StoredMatrix {
  const scales = new Uint32Array()
  if (type === 'f32') return { words: new Uint32Array(padded.buffer), scales, values: padded }
  const halves = new Float16Array(padded)
  return { words: new Uint32Array(halves.buffer), scales, values: new Float32Array(halves) }
}

/** The scale and the integers of a group. */
type GroupPacker = (numbers: Float32Array) => { scale: number; integers: number[] }

function packIntegers(padded: Float32Array, pack: GroupPacker, type: MatrixType): StoredMatrix {
  const groups = padded.length / QUANT_GROUP
  const scales = new Float16Array(groups + (groups % 2))
  const integers = new Int8Array(padded.length)
  for (let group = 0; group < groups; group++) {
    const first = group * QUANT_GROUP
    const packed = pack(padded.subarray(first, first + QUANT_GROUP))
    scales[group] = packed.scale
    integers.set(packed.integers, first)
  }
  return {
    words: new Uint32Array(type === 'int4' ? nibbles(integers) : integers.buffer),
    scales: new Uint32Array(scales.buffer),
    values: Float32Array.from(integers, (q, i) => q * scales[Math.floor(i / QUANT_GROUP)]),
  }
}

/** Byte j of a word of eight numbers: number j below, number 4 + j above. */
function nibbles(integers: Int8Array): ArrayBuffer {
  return Uint8Array.from({ length: integers.length / 2 }, (_, byte) => {
    const low = 8 * Math.floor(byte / 4) + (byte % 4)
    return (integers[low] & 15) | ((integers[low + 4] & 15) << 4)
  }).buffer
}

function int8Group(numbers: Float32Array) {
  const scale = scaleFor(Math.abs(largest(numbers)), Math.fround(1 / 127))
  return { scale, integers: integersFor(numbers, scale, -127, 127) }
}

/** The first of the best of eight scales around the largest number's size over -8. */
function int4Group(numbers: Float32Array) {
  const extreme = largest(numbers)
  const size = Math.abs(extreme)
  // Differences are compared in units of 2^-13 of the power of two at or below the largest number.
  const unit = 2 ** (13 - Math.floor(Math.log2(size)))
  let best = { scale: 0, integers: [...numbers].map(() => 0) }
  if (size < 2 ** -25) return best
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < 8; i++) {
    const scale = -Math.sign(extreme) * scaleFor(size, (585 - 17 * i) / 4096)
    const integers = integersFor(numbers, scale, -8, 7)
    let error = 0
    for (const [at, q] of integers.entries()) {
      error += Math.trunc(Math.fround(numbers[at] - q * scale) * unit) ** 2
    }
    if (error < least) best = { scale, integers }
    least = Math.min(least, error)
  }
  return best
}

/** The first of the largest numbers, by size, with its sign. */
function largest(numbers: Float32Array): number {
  return numbers.reduce((most, x) => (Math.abs(x) > Math.abs(most) ? x : most), 0)
}

/** size · factor as float16, rounded up; 0 where integers could not tell numbers from zeros. */
function scaleFor(size: number, factor: number): number {
  if (size < 2 ** -25) return 0
  const exact = Math.fround(size * factor)
  const rounded = new Float16Array([exact])
  if (rounded[0] < exact) new Uint16Array(rounded.buffer)[0]++
  return Math.min(rounded[0], 65504)
}

/** The nearest integers to numbers / scale in a range; halves go up for positive scales. */
function integersFor(numbers: Float32Array, scale: number, low: number, high: number): number[] {
  return Array.from(numbers, (x) => {
    const q = scale === 0 ? 0 : Math.floor(x / scale + 0.5)
    return Math.max(low, Math.min(high, q)) + 0
  })
}

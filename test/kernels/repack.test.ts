// Stored rows as rows of weight matrices, bit for bit as the oracle packs them.
import { describe, expect, test } from 'bun:test'
import { type MatrixType, matrixBytes } from '../../src/gpu/matrix.ts'
import { NO_FAULT } from '../../src/gpu/repack.ts'
import { decode } from '../../src/loader/convert.ts'
import { encodeValues } from '../helpers/checkpoints.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { Random } from '../helpers/numbers.ts'
import { poisonedMatrix, type RepackPart, readMatrix, repackParts } from '../helpers/repack.ts'
import { packMatrix } from '../oracle/repack.ts'

const gpu = await openTestGpu()
const dtypes = ['F32', 'F16', 'BF16'] as const
const types: MatrixType[] = ['f32', 'f16', 'int8', 'int4']
const pairs = dtypes.flatMap((dtype) => types.map((type) => ({ dtype, type })))

/** Numbers of many sizes: some rows are tiny, some have groups of zeros. */
function numbers(rows: number, columns: number): Float32Array {
  const random = new Random(1000 * rows + columns)
  return Float32Array.from({ length: rows * columns }, (_, i) => {
    const row = Math.floor(i / columns)
    if ((row + Math.floor((i % columns) / 32)) % 5 === 4) return 0
    return random.normal() * 10 ** -(row % 9)
  })
}

/** The part, and the numbers that its bytes stand for. */
function part(data: Float32Array, rows: number, dtype: RepackPart['source']) {
  const bytes = encodeValues(data, dtype)
  return { part: { source: dtype, bytes, rows }, values: decode(bytes, dtype) }
}

function expected(values: Float32Array, rows: number, columns: number, type: MatrixType) {
  const { words, scales } = packMatrix(values, rows, columns, type)
  return { words, scales }
}

describe.each(pairs)('$dtype to $type', ({ dtype, type }) => {
  test.each([
    [1, 1],
    [3, 33],
    [65, 257],
    [9, 64],
    [40, 96],
  ])('%i x %i', async (rows, columns) => {
    const { part: whole, values } = part(numbers(rows, columns), rows, dtype)
    const matrix = await poisonedMatrix(gpu, rows, columns, type)
    expect(await repackParts(gpu, matrix, [whole])).toEqual(new Array(4).fill(NO_FAULT))
    const { words, scales } = await readMatrix(gpu, matrix)
    const right = expected(values, rows, columns, type)
    expect(words).toEqual(right.words)
    // The last half of a word of scales may belong to nobody.
    const count = type === 'int8' || type === 'int4' ? (rows * matrix.stride) / 32 : 0
    expect(halves(scales, count)).toEqual(halves(right.scales, count))
  })

  test('stacked and interleaved, in blocks that end anywhere', async () => {
    const columns = 33
    const [a, b, c] = [5, 5, 4].map((rows, i) => numbers(rows + i, columns).slice(i * columns))
    const blocks = [
      { data: a.subarray(0, 2 * columns), firstRow: 0, rowStep: 2 },
      { data: a.subarray(2 * columns), firstRow: 4, rowStep: 2 },
      { data: b.subarray(0, 3 * columns), firstRow: 1, rowStep: 2 },
      { data: b.subarray(3 * columns), firstRow: 7, rowStep: 2 },
      { data: c.subarray(0, columns), firstRow: 10, rowStep: 1 },
      { data: c.subarray(columns), firstRow: 11, rowStep: 1 },
    ]
    const all = new Float32Array(14 * columns)
    const parts = blocks.map(({ data, firstRow, rowStep }) => {
      const rows = data.length / columns
      const made = part(data, rows, dtype)
      for (let row = 0; row < rows; row++) {
        const values = made.values.subarray(row * columns, (row + 1) * columns)
        all.set(values, (firstRow + row * rowStep) * columns)
      }
      return { ...made.part, firstRow, rowStep }
    })
    const matrix = await poisonedMatrix(gpu, 14, columns, type)
    await repackParts(gpu, matrix, parts)
    expect(await readMatrix(gpu, matrix)).toEqual(expected(all, 14, columns, type))
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    '%p is noted at its place: first, in the middle, last, and the least of several',
    async (bad) => {
      const [rows, columns] = [7, 33]
      const bytesWith = (...places: number[]) => {
        const data = numbers(rows, columns)
        for (const place of places) data[place] = bad
        return { source: dtype, bytes: encodeValues(data, dtype), rows }
      }
      const matrix = await poisonedMatrix(gpu, rows, columns, type)
      const faults = await repackParts(gpu, matrix, [
        { ...bytesWith(0), fault: 0 },
        { ...bytesWith(100), fault: 1, firstElement: 2310 },
        { ...bytesWith(rows * columns - 1), fault: 2 },
        { ...bytesWith(200, 230), fault: 3, firstElement: 231 },
        { ...bytesWith(130, 66, 70), fault: 3, firstElement: 231 },
      ])
      expect(faults).toEqual([0, 2410, 230, 231 + 66])
    },
  )
})

function halves(words: Uint32Array, count: number): number[] {
  return [...new Uint16Array(words.buffer, words.byteOffset, count)]
}

describe('rounding to float16', () => {
  async function rounded(values: readonly number[]): Promise<number[]> {
    const data = Float32Array.from(values)
    const matrix = await poisonedMatrix(gpu, 1, data.length, 'f16')
    await repackParts(gpu, matrix, [{ source: 'F32', bytes: encodeValues(data, 'F32'), rows: 1 }])
    return halves((await readMatrix(gpu, matrix)).words, data.length)
  }

  test.each([
    ['one', 1, 0x3c00],
    ['minus zero', -0, 0x8000],
    ['halfway, down to even', 1 + 2 ** -11, 0x3c00],
    ['just above halfway', 1 + 2 ** -11 + 2 ** -23, 0x3c01],
    ['halfway, up to even', 1 + 3 * 2 ** -11, 0x3c02],
    ['rounding carries into the exponent', 2 - 2 ** -12, 0x4000],
    ['largest', 65504, 0x7bff],
    ['rounds down to the largest', 65519.99609375, 0x7bff],
    ['most negative', -65504, 0xfbff],
    ['smallest normal', 2 ** -14, 0x0400],
    ['rounds up to the smallest normal', 2 ** -14 - 2 ** -26, 0x0400],
    ['largest subnormal', 1023 * 2 ** -24, 0x03ff],
    ['halfway between subnormals, to even', 2.5 * 2 ** -24, 0x0002],
    ['smallest subnormal', 2 ** -24, 0x0001],
    ['half the smallest subnormal, to even', 2 ** -25, 0x0000],
    ['just above half of it', 2 ** -25 + 2 ** -48, 0x0001],
    ['negative subnormal', -(2 ** -24), 0x8001],
    ['far too small', -1e-30, 0x8000],
    ['float32 subnormal', 1e-40, 0x0000],
  ])('%s', async (_, value, bits) => {
    expect(await rounded([value])).toEqual([bits])
  })

  test('agrees with the host on 200,000 random bit patterns in range', async () => {
    const random = new Random(3)
    // Exponents from 2^-30 to 2^15: zeros, subnormals, normals; mantissas and signs at random.
    const bits = Uint32Array.from({ length: 200_000 }, () => {
      const exponent = random.integer(97, 142) << 23
      return ((random.integer(0, 1) << 31) | exponent | random.integer(0, 0x7fffff)) >>> 0
    }).map((word) => ((word & 0x7fffffff) >= 0x477ff000 ? word & 0x80000000 : word))
    const values = new Float32Array(bits.buffer)
    const matrix = await poisonedMatrix(gpu, 200, 1000, 'f16')
    const bytes = new Uint8Array(bits.buffer)
    const faults = await repackParts(gpu, matrix, [{ source: 'F32', bytes, rows: 200 }])
    expect(faults[0]).toBe(NO_FAULT)
    const { words } = await readMatrix(gpu, matrix)
    expect(words).toEqual(new Uint32Array(new Float16Array(values).buffer))
  })

  test.each(['F16', 'BF16'] as const)('every %s pattern that fits', async (dtype) => {
    const largest = dtype === 'F16' ? 0x7bff : 0x477f
    const patterns = Uint16Array.from({ length: 65536 }, (_, i) => i).filter(
      (i) => (i & 0x7fff) <= largest,
    )
    const bytes = new Uint8Array(patterns.buffer)
    const values = decode(bytes, dtype)
    for (const [type, right] of [
      ['f16', new Float16Array(values)],
      ['f32', values],
    ] as const) {
      const matrix = await poisonedMatrix(gpu, 1, patterns.length, type)
      expect((await repackParts(gpu, matrix, [{ source: dtype, bytes, rows: 1 }]))[0]).toBe(
        NO_FAULT,
      )
      expect((await readMatrix(gpu, matrix)).words).toEqual(
        new Uint32Array(right.buffer as ArrayBuffer),
      )
    }
  })
})

describe('the largest numbers', () => {
  test.each([
    ['f16', 65519, 65520],
    ['f32', 3.4028234663852886e38, Number.POSITIVE_INFINITY],
    ['int8', 8319008, 8319009],
    ['int4', 458528, 458528.03125],
  ] as const)('%s holds %p and not %p', async (type, fits, tooLarge) => {
    for (const sign of [1, -1]) {
      const data = Float32Array.of(1, sign * fits, 0, 0.5, 2, 3)
      const bad = Float32Array.of(1, 2, sign * tooLarge, 3, 4, 5)
      const matrix = await poisonedMatrix(gpu, 2, 3, type)
      const faults = await repackParts(gpu, matrix, [
        { source: 'F32', rows: 2, bytes: encodeValues(bad, 'F32'), fault: 1 },
        { source: 'F32', rows: 2, bytes: encodeValues(data, 'F32') },
      ])
      expect(faults.slice(0, 2)).toEqual([NO_FAULT, 2])
      expect(await readMatrix(gpu, matrix)).toEqual(expected(data, 2, 3, type))
    }
  })
})

test('integers cost what they should', () => {
  const shape = { rows: 3, columns: 33, stride: 64 }
  expect(matrixBytes({ ...shape, type: 'int8' })).toBe(3 * 64 + 3 * 2 * 2)
  expect(matrixBytes({ ...shape, type: 'int4' })).toBe(3 * 32 + 3 * 2 * 2)
})

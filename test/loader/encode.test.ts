// Numbers as stored elements, and back.
import { describe, expect, test } from 'bun:test'
import { CheckpointError } from '../../src/errors.ts'
import { type Dtype, decode } from '../../src/loader/convert.ts'
import { encode } from '../../src/loader/encode.ts'
import { encodeValues } from '../helpers/checkpoints.ts'
import { Random } from '../helpers/numbers.ts'

const DTYPES: Dtype[] = ['F32', 'F16', 'BF16']
const origin = (dtype: Dtype) => ({ name: 't', file: 'f', dtype })

describe.each(DTYPES)('%s', (dtype) => {
  test('as another writer has it', () => {
    const values = new Random(3).normals(4096)
    values.set([0, -0, 1, -1, 2 ** -14, 2 ** -24, 2 ** -25, 2 ** -130, 65504, -65519.99])
    expect(encode(values, dtype, origin(dtype), 0)).toEqual(encodeValues(values, dtype))
  })

  test('there and back', () => {
    const values = Float32Array.of(0, -0, 1.5, -2, 0.0078125, 1024)
    expect(decode(encode(values, dtype, origin(dtype), 0), dtype)).toEqual(values)
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    '%p is refused',
    (x) => {
      const write = () => encode(Float32Array.of(1, x), dtype, origin(dtype), 10)
      expect(write).toThrow(CheckpointError)
      expect(write).toThrow(`f: tensor t, element 11: found ${x}; weights must be finite`)
    },
  )
})

test.each<[Dtype, number, number]>([
  // Largest numbers that round down to what there is, and the next ones.
  ['F16', 65519.996, 65520],
  ['BF16', 2 ** 128 - 2 ** 119 - 2 ** 104, 2 ** 128 - 2 ** 119],
])('%s: %p is the last that fits', (dtype, last, next) => {
  const write = (value: number) => encode(Float32Array.of(value, -value), dtype, origin(dtype), 0)
  expect(decode(write(last), dtype).every(Number.isFinite)).toBe(true)
  expect(() => write(next)).toThrow(
    `element 0: found ${Math.fround(next)}; does not fit in ${dtype}`,
  )
})

test('halves between two bfloat16 go to the even one', () => {
  const between = (low: number) => new Float32Array(Uint32Array.of((low << 16) | 0x8000).buffer)[0]
  const values = Float32Array.of(between(0x3f80), between(0x3f81))
  const bits = new Uint16Array(encode(values, 'BF16', origin('BF16'), 0).buffer)
  expect([...bits]).toEqual([0x3f80, 0x3f82])
})

// Element conversions against exact bit patterns and against the host's own float16.

import { describe, expect, test } from 'bun:test'
import { CheckpointError } from '../../src/errors.ts'
import { type Dtype, toFloat16Bits, toFloat32 } from '../../src/loader/convert.ts'
import { Random } from '../helpers/numbers.ts'

const NAN = Number.NaN

function origin(dtype: Dtype) {
  return { name: 'w', file: 'model.safetensors', dtype }
}

function words(...bits: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(bits).buffer)
}

function halves(...bits: number[]): Uint8Array {
  return new Uint8Array(Uint16Array.from(bits).buffer)
}

function floats(...values: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer)
}

describe('to float32', () => {
  test.each([
    ['zero', 0x0000, 0],
    ['minus zero', 0x8000, -0],
    ['one', 0x3c00, 1],
    ['smallest subnormal', 0x0001, 2 ** -24],
    ['largest subnormal', 0x03ff, 1023 * 2 ** -24],
    ['smallest normal', 0x0400, 2 ** -14],
    ['largest', 0x7bff, 65504],
    ['most negative', 0xfbff, -65504],
    ['a third', 0x3555, 0.333251953125],
  ])('F16 %s', (_, bits, value) => {
    expect([...toFloat32(halves(bits), origin('F16'), 0)]).toEqual([value])
  })

  test.each([
    ['zero', 0x0000, 0],
    ['minus zero', 0x8000, -0],
    ['one', 0x3f80, 1],
    ['pi', 0x4049, 3.140625],
    ['smallest subnormal', 0x0001, 2 ** -133],
    ['largest', 0x7f7f, 255 * 2 ** 120],
    ['negative', 0xc2f7, -123.5],
  ])('BF16 %s', (_, bits, value) => {
    expect([...toFloat32(halves(bits), origin('BF16'), 0)]).toEqual([value])
  })

  test('F32 comes back bit for bit, from any alignment', () => {
    const bits = [0, 0x80000000, 1, 0x3f800001, 0x7f7fffff, 0xc2f70000]
    const shifted = new Uint8Array(4 * bits.length + 1)
    shifted.set(words(...bits), 1)
    for (const bytes of [words(...bits), shifted.subarray(1)]) {
      const values = toFloat32(bytes, origin('F32'), 0)
      expect([...new Uint32Array(values.buffer, values.byteOffset, bits.length)]).toEqual(bits)
    }
  })
})

describe('to float16', () => {
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
  ])('F32 %s', (_, value, bits) => {
    expect([...toFloat16Bits(floats(value), origin('F32'), 0)]).toEqual([bits])
  })

  test.each([
    ['one', 0x3f80, 0x3c00],
    ['minus pi', 0xc049, 0xc248],
    ['largest that fits', 0x477f, 0x7bf8],
    ['smallest normal', 0x3880, 0x0400],
    ['a subnormal', 0x3380, 0x0001],
    ['ties to even among subnormals', 0x3420, 0x0002],
    ['too small', 0x3280, 0x0000],
  ])('BF16 %s', (_, source, bits) => {
    expect([...toFloat16Bits(halves(source), origin('BF16'), 0)]).toEqual([bits])
  })

  test('F32 agrees with the host on 200,000 random bit patterns in range', () => {
    const random = new Random(3)
    // Exponents from 2^-30 to 2^15: zeros, subnormals, normals; mantissas and signs at random.
    const bits = Uint32Array.from({ length: 200_000 }, () => {
      const exponent = random.integer(97, 142) << 23
      return ((random.integer(0, 1) << 31) | exponent | random.integer(0, 0x7fffff)) >>> 0
    }).map((word) => ((word & 0x7fffffff) >= 0x477ff000 ? word & 0x80000000 : word))
    const expected = new Uint16Array(new Float16Array(new Float32Array(bits.buffer)).buffer)
    expect(toFloat16Bits(new Uint8Array(bits.buffer), origin('F32'), 0)).toEqual(expected)
  })

  test('every finite F16 pattern survives, there and through float32', () => {
    const finite = Array.from({ length: 65536 }, (_, i) => i).filter((i) => (i & 0x7c00) !== 0x7c00)
    const bytes = halves(...finite)
    expect([...toFloat16Bits(bytes, origin('F16'), 0)]).toEqual(finite)
    const values = toFloat32(bytes, origin('F16'), 0)
    expect([...toFloat16Bits(floats(...values), origin('F32'), 0)]).toEqual(finite)
  })

  test('every BF16 pattern is rounded like its float32 value', () => {
    const patterns = Uint16Array.from({ length: 65536 }, (_, i) => i).filter(
      (i) => (i & 0x7fff) < 0x4780,
    )
    const bytes = new Uint8Array(patterns.buffer)
    const viaFloat32 = toFloat32(bytes, origin('BF16'), 0)
    const expected = toFloat16Bits(floats(...viaFloat32), origin('F32'), 0)
    expect(toFloat16Bits(bytes, origin('BF16'), 0)).toEqual(expected)
  })
})

describe('what cannot be a weight', () => {
  test.each([
    ['F32', floats(1, 2, NAN), 'NaN'],
    ['F32', floats(1, 2, -Infinity), '-Infinity'],
    ['F16', halves(0, 0, 0x7e00), 'NaN'],
    ['F16', halves(0, 0, 0x7c00), 'Infinity'],
    ['BF16', halves(0, 0, 0x7fc0), 'NaN'],
    ['BF16', halves(0, 0, 0xff80), '-Infinity'],
  ] as const)('%s with %p', (dtype, bytes, found) => {
    for (const convert of [toFloat32, toFloat16Bits]) {
      const attempt = () => convert(bytes, origin(dtype), 1000)
      expect(attempt).toThrow(CheckpointError)
      expect(attempt).toThrow(
        `model.safetensors: tensor w, element 1002: found ${found}; weights must be finite`,
      )
    }
  })

  test.each([
    ['F32', floats(0, 65520), 65520],
    ['F32', floats(0, -1e30), Math.fround(-1e30)],
    ['BF16', halves(0, 0x4780), 65536],
  ] as const)('%s that float16 cannot hold is fine as float32', (dtype, bytes, value) => {
    expect(() => toFloat16Bits(bytes, origin(dtype), 10)).toThrow(
      `tensor w, element 11: ${value} does not fit in float16 (at most 65504); use --dtype float32`,
    )
    expect(toFloat32(bytes, origin(dtype), 10)[1]).toBe(value)
  })
})

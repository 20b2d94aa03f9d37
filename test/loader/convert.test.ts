// Element conversions against exact bit patterns and against the host's own float16.

import { describe, expect, test } from 'bun:test'
import { CheckpointError } from '../../src/errors.ts'
import { type Dtype, toFloat32, unusable } from '../../src/loader/convert.ts'

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

describe('what cannot be a weight', () => {
  test.each([
    ['F32', floats(1, 2, NAN), 'NaN'],
    ['F32', floats(1, 2, -Infinity), '-Infinity'],
    ['F16', halves(0, 0, 0x7e00), 'NaN'],
    ['F16', halves(0, 0, 0x7c00), 'Infinity'],
    ['BF16', halves(0, 0, 0x7fc0), 'NaN'],
    ['BF16', halves(0, 0, 0xff80), '-Infinity'],
  ] as const)('%s with %p', (dtype, bytes, found) => {
    const attempt = () => toFloat32(bytes, origin(dtype), 1000)
    expect(attempt).toThrow(CheckpointError)
    expect(attempt).toThrow(
      `model.safetensors: tensor w, element 1002: found ${found}; weights must be finite`,
    )
  })

  test.each([
    ['f16', 65520, 'float16 (at most 65504); use --dtype float32'],
    [
      'int8',
      1e7,
      'int8 with float16 scales (at most 8319008); use --quantization none --dtype float32',
    ],
    [
      'int4',
      -1e6,
      'int4 with float16 scales (at most 458528); use --quantization none --dtype float32',
    ],
  ] as const)('%s holds no %p', (type, value, allowed) => {
    expect(unusable(value, origin('F32'), 11, type)).toEqual(
      new CheckpointError(
        'model.safetensors',
        `tensor w, element 11: ${value} does not fit in ${allowed}`,
      ),
    )
    expect(unusable(Number.NaN, origin('F32'), 11, type).message).toContain('must be finite')
  })

  test('large numbers are fine in vectors', () => {
    expect(toFloat32(floats(0, 65520, -1e30), origin('F32'), 10)).toEqual(
      Float32Array.of(0, 65520, -1e30),
    )
  })
})

// How figures are written.
import { describe, expect, test } from 'bun:test'
import { parseModelConfig } from '../../models/config.ts'
import { layerWeights, tensorShapes } from '../../models/tensor-shapes.ts'
import { byteText, number, percent, table } from './report.ts'
import { SHAPES } from './shapes.ts'

test.each<[number | undefined, string]>([
  [123456.7, '123457'],
  [999.96, '1000'],
  [12.3456, '12.35'],
  [0.00012346, '0.0001235'],
  [0, '0'],
  [undefined, '-'],
  [Number.POSITIVE_INFINITY, '-'],
])('%p is written %s', (value, text) => {
  expect(number(value)).toBe(text)
})

test.each([
  [0, '0 B'],
  [1023, '1020 B'],
  [1024, '1 KiB'],
  [14.5e9, '13.5 GiB'],
])('%d bytes are %s', (bytes, text) => {
  expect(byteText(bytes)).toBe(text)
})

test('shares', () => {
  expect([percent(0.1234), percent(1), percent(undefined)]).toEqual(['12.3 %', '100.0 %', '-'])
})

test('columns are as wide as their widest cell', () => {
  expect(
    table(
      ['what', 'n'],
      [
        ['a', '1000'],
        ['longer', ''],
      ],
    ),
  ).toBe(['what       n', 'a       1000', 'longer'].join('\n'))
})

describe('weights of the published shapes', () => {
  // As reference counts of the models have it: all parameters, and those that a token meets in layers.
  test.each<[keyof typeof SHAPES, number, number]>([
    ['gla-7b', 7_244_390_400, 6_981_943_296],
    ['gsa-7b', 7_308_972_032, 7_046_430_720],
  ])('%s', (name, parameters, weights) => {
    const config = parseModelConfig(SHAPES[name], 'config.json')
    const sizes = [...tensorShapes(config)].map(([, shape]) => shape.reduce((a, b) => a * b, 1))
    expect(sizes.reduce((a, b) => a + b)).toBe(parameters)
    expect(layerWeights(config)).toBe(weights)
  })
})

// Number ranges against plain comparison, near their bounds and at random.

import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Bound, decimalRange, integerRange } from '../../src/grammar/number-range.ts'
import { matches } from './matcher.ts'

const RUNS = { seed: 11, numRuns: 1500 }

const bound = (value: fc.Arbitrary<number>): fc.Arbitrary<Bound | undefined> =>
  fc.option(fc.record({ value, exclusive: fc.boolean() }), { nil: undefined, freq: 4 })

function isWithin(value: number, low: Bound | undefined, high: Bound | undefined): boolean {
  const above = !low || (low.exclusive ? value > low.value : value >= low.value)
  const below = !high || (high.exclusive ? value < high.value : value <= high.value)
  return above && below
}

test('integers', () => {
  const value = fc.oneof(
    fc.integer({ min: -1500, max: 1500 }),
    fc.double({ min: -9, max: 9, noNaN: true }),
  )
  const arbitrary = fc.tuple(bound(value), bound(value), fc.integer({ min: -1600, max: 1600 }))
  fc.assert(
    fc.property(arbitrary, ([low, high, candidate]) => {
      return matches(integerRange(low, high), `${candidate}`) === isWithin(candidate, low, high)
    }),
    RUNS,
  )
})

test('integers right at their bounds', () => {
  const value = fc.integer({ min: -1_000_000, max: 1_000_000 })
  fc.assert(
    fc.property(value, value, fc.integer({ min: -2, max: 2 }), (low, high, step) => {
      const range = integerRange({ value: low, exclusive: false }, { value: high, exclusive: true })
      const fits = (candidate: number) => matches(range, `${candidate}`)
      expect(fits(low + step)).toBe(low + step >= low && low + step < high)
      expect(fits(high + step)).toBe(high + step >= low && high + step < high)
    }),
    RUNS,
  )
})

test('decimals', () => {
  const value = fc.integer({ min: -40_000, max: 40_000 }).map((each) => each / 1000)
  const arbitrary = fc.tuple(bound(value), bound(value), fc.integer({ min: -45_000, max: 45_000 }))
  fc.assert(
    fc.property(arbitrary, ([low, high, thousandths]) => {
      const candidate = thousandths / 1000
      return matches(decimalRange(low, high), `${candidate}`) === isWithin(candidate, low, high)
    }),
    RUNS,
  )
})

test('decimals right at their bounds', () => {
  const value = fc.double({ min: -3, max: 3, noNaN: true, noDefaultInfinity: true })
  fc.assert(
    fc.property(value, fc.boolean(), (limit, exclusive) => {
      fc.pre(Math.abs(limit) > 1e-5)
      const range = decimalRange({ value: limit, exclusive }, undefined)
      for (const places of [0, 1, 3, 6, 9, 12, 14]) {
        for (const nudge of [-1, 0, 1]) {
          const candidate = (limit + nudge * 10 ** -places).toFixed(places)
          if (/^-0\.?0*$/.test(candidate)) continue
          expect([candidate, matches(range, candidate)]).toEqual([
            candidate,
            isWithin(Number(candidate), { value: limit, exclusive }, undefined),
          ])
        }
      }
    }),
    RUNS,
  )
})

test.each([
  ['0.99999999999999999', { value: 1, exclusive: true }],
  ['4.99999999999999999', { value: 5, exclusive: true }],
  ['99999999999999999', { value: 1e17, exclusive: true }],
])('%s, which would be read as the bound, is not written', (text, high) => {
  expect(Number(text)).toBe(high.value)
  expect(matches(decimalRange(undefined, high), text)).toBe(false)
  expect(matches(integerRange(undefined, high), text)).toBe(false)
})

test.each(['-0', '-0.0', '01', '1.', '.5', '+1', '1e3', ''])('%s is never written', (text) => {
  const [low, high] = [
    { value: -5, exclusive: false },
    { value: 5000, exclusive: false },
  ]
  expect(matches(decimalRange(low, high), text)).toBe(false)
  expect(matches(integerRange(low, high), text)).toBe(false)
})

test('bounds in scientific notation', () => {
  const range = decimalRange({ value: 1.5e-7, exclusive: false }, { value: 2e21, exclusive: false })
  expect(matches(range, '0.0000001')).toBe(false)
  expect(matches(range, '0.0000002')).toBe(true)
  expect(matches(range, '1')).toBe(true)
  const small = decimalRange({ value: 1.5e-7, exclusive: false }, { value: 1, exclusive: false })
  expect(matches(small, '0.00000014')).toBe(false)
  expect(matches(small, '0.00000015')).toBe(true)
})

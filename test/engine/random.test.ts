// The generator against published answers, and the numbers made of it.

import { expect, test } from 'bun:test'
import { randomBits, randomSeed } from '../../src/engine/random.ts'
import { seedKey, threefry2x32 } from '../../src/threefry.ts'

// Random123 1.14, tests/kat_vectors, lines "threefry2x32 20": counter, key, answer.
test.each<[[number, number], [number, number], [number, number]]>([
  [
    [0, 0],
    [0, 0],
    [0x6b200159, 0x99ba4efe],
  ],
  [
    [0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x1cb996fc, 0xbb002be7],
  ],
  [
    [0x243f6a88, 0x85a308d3],
    [0x13198a2e, 0x03707344],
    [0xc4923a9c, 0x483df7a0],
  ],
])('threefry2x32 of counter %p, key %p', (counter, key, answer) => {
  expect(threefry2x32(key, counter)).toEqual(answer)
})

test.each<[bigint | number, [number, number]]>([
  [0, [0, 0]],
  [1n, [1, 0]],
  [-1, [0xffffffff, 0xffffffff]],
  [0x13198a2e_03707344n, [0x03707344, 0x13198a2e]],
  [2 ** 53 - 1, [0xffffffff, 0x1fffff]],
  [2n ** 64n + 7n, [7, 0]],
])('seed %p has the words %p', (seed, words) => {
  expect(seedKey(seed)).toEqual(words)
})

test('random bits are the first word for the words of the seed and the step', () => {
  expect(randomBits(0, 0)).toBe(0x6b200159)
  expect(randomBits(2n ** 32n + 5n, 77)).toBe(threefry2x32([5, 1], [77, 0])[0])
})

test('bits of a seed are spread evenly and differ from those of other seeds', () => {
  const buckets = new Array(64).fill(0)
  let same = 0
  for (let step = 0; step < 64_000; step++) {
    const bits = randomBits(42, step)
    buckets[bits >>> 26]++
    if (bits === randomBits(43, step)) same++
  }
  const chiSquare = buckets.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)
  // 63 degrees of freedom: 99.99 % lie between 27 and 116.
  expect(chiSquare).toBeGreaterThan(27)
  expect(chiSquare).toBeLessThan(116)
  expect(same).toBeLessThan(5)
})

test('random seeds differ and fit 64 bits', () => {
  const seeds = new Set(Array.from({ length: 100 }, () => randomSeed()))
  expect(seeds.size).toBe(100)
  for (const seed of seeds) expect(BigInt.asUintN(64, seed)).toBe(seed)
})

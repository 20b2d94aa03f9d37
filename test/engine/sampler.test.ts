// The sampler against a twin that sorts, the shape of what it draws, and log-probabilities.

import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { uniform } from '../../src/engine/random.ts'
import {
  argmax,
  bestRanked,
  type Filters,
  logSumExp,
  sample,
  tokenLogprobs,
} from '../../src/engine/sampler.ts'

const NEUTRAL: Filters = { temperature: 1, topK: 0, topP: 1, minP: 0 }

/** The probabilities that the rules of `sample` give, by sorting the whole vocabulary. */
function naive(logits: Float32Array, filters: Filters): number[] {
  const { temperature, topK, topP, minP } = filters
  const max = Math.max(...logits)
  let ranked = Array.from(logits, (logit, id) => ({
    id,
    weight: Math.exp((logit - max) / temperature),
  })).sort((left, right) => logits[right.id] - logits[left.id] || left.id - right.id)
  const weigh = () => ranked.reduce((sum, each) => sum + each.weight, 0)
  if (topK > 0) ranked = ranked.slice(0, topK)
  const target = topP * weigh()
  let reached = 0
  if (topP < 1) {
    ranked = ranked.filter(({ weight }, place) => {
      const keep = place === 0 || reached < target
      reached += weight
      return keep
    })
  }
  ranked = ranked.filter(({ weight }) => weight >= minP)
  const total = weigh()
  const probabilities = new Array(logits.length).fill(0)
  for (const { id, weight } of ranked) probabilities[id] = weight / total
  return probabilities
}

/** The token where the running sum of probabilities, in order of ids, passes the number. */
function naiveDraw(probabilities: number[], number: number): number {
  let sum = 0
  for (const [id, probability] of probabilities.entries()) {
    sum += probability
    if (sum > number) return id
  }
  return probabilities.findLastIndex((probability) => probability > 0)
}

// Logits in steps of a half: many ties, also at the border of what is kept.
const tiedLogits = fc
  .array(fc.integer({ min: -8, max: 8 }), { minLength: 1, maxLength: 60 })
  .map((halves) => Float32Array.from(halves, (half) => half / 2))
// Shares that no sum of weights meets exactly, where rounding would decide.
const share = fc.integer({ min: 1, max: 99 }).map((percent) => percent / 100 + 0.00123)
const filterSets = fc.record<Filters>({
  temperature: fc.constantFrom(0.01, 0.5, 1, 1.7, 100),
  topK: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 70 })),
  topP: fc.oneof(fc.constant(1), share),
  minP: fc.oneof(fc.constant(0), share),
})

test('every number draws what the sorting twin draws', () => {
  fc.assert(
    fc.property(tiedLogits, filterSets, (logits, filters) => {
      const probabilities = naive(logits, filters)
      for (let step = 0; step < 20; step++) {
        const number = uniform(7, step)
        expect(sample(logits, filters, number)).toBe(naiveDraw(probabilities, number))
      }
    }),
    { seed: 1, numRuns: 4000 },
  )
})

test('a large vocabulary is cut like the sorting twin cuts it', () => {
  const logits = Float32Array.from(
    { length: 32_000 },
    (_, id) => Math.round(uniform(1, id) * 400) / 40,
  )
  for (const filters of [
    { ...NEUTRAL, topK: 500 },
    { ...NEUTRAL, topP: 0.9 },
    { ...NEUTRAL, minP: 0.2 },
    { temperature: 0.7, topK: 3000, topP: 0.95, minP: 0.01 },
  ]) {
    const probabilities = naive(logits, filters)
    for (let step = 0; step < 30; step++) {
      const number = uniform(2, step)
      expect(sample(logits, filters, number)).toBe(naiveDraw(probabilities, number))
    }
  }
})

const LOGITS = new Float32Array([0.5, 2, -1, 2, 0, 1, -0.5, 1.5, 1, -3, 0.25, 1])

test.each<[string, Partial<Filters>, number[]]>([
  ['nothing', {}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]],
  ['temperature 0.5', { temperature: 0.5 }, [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11]],
  ['temperature 2', { temperature: 2 }, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]],
  ['top-k 4, with a tie at the border', { topK: 4 }, [1, 3, 5, 7]],
  ['top-k 1', { topK: 1 }, [1]],
  ['top-p 0.45', { topP: 0.45 }, [1, 3]],
  ['top-p 0.65, with a tie at the border', { topP: 0.65 }, [1, 3, 5, 7]],
  ['min-p 0.3', { minP: 0.3 }, [1, 3, 5, 7, 8, 11]],
  ['all', { temperature: 1.5, topK: 6, topP: 0.9, minP: 0.55 }, [1, 3, 7]],
])('100,000 draws with %s', (_, change, drawn) => {
  const filters = { ...NEUTRAL, ...change }
  const draws = 100_000
  const counts = new Array(LOGITS.length).fill(0)
  for (let step = 0; step < draws; step++) counts[sample(LOGITS, filters, uniform(11, step))]++
  // Tokens too rare to be expected once are left to the chi-square of the others.
  const seen = counts.flatMap((count, id) => (count > 0 ? [id] : []))
  expect(seen.filter((id) => !drawn.includes(id) && counts[id] > 5)).toEqual([])
  const probabilities = naive(LOGITS, filters)
  let chiSquare = 0
  for (const id of drawn) {
    const expected = probabilities[id] * draws
    chiSquare += (counts[id] - expected) ** 2 / expected
  }
  const freedom = drawn.length - 1
  expect(chiSquare).toBeLessThanOrEqual(freedom + 4 * Math.sqrt(2 * freedom))
})

describe('borders', () => {
  const even = new Float32Array(8)

  test.each<[string, Partial<Filters>, number, number]>([
    ['the least number draws the first token', {}, 0, 0],
    ['the greatest number draws the last token', {}, 1 - 2 ** -24, 7],
    ['a number at the border of two tokens draws the later', {}, 0.5, 4],
    ['a share that is met exactly needs no further token', { topP: 0.5 }, 1 - 2 ** -24, 3],
    ['top-p 0 keeps the best token', { topP: 0 }, 0.9, 0],
    ['top-k above the vocabulary keeps all', { topK: 100 }, 1 - 2 ** -24, 7],
    ['min-p 1 keeps all that equal the best', { minP: 1 }, 1 - 2 ** -24, 7],
    ['temperature 0 takes the first of the best', { temperature: 0 }, 0.9, 0],
  ])('%s', (_, change, number, expected) => {
    expect(sample(even, { ...NEUTRAL, ...change }, number)).toBe(expected)
  })

  test('a token whose weight is 0 is never drawn', () => {
    const logits = new Float32Array([-3e38, 0, 3e38, -3e38])
    expect(sample(logits, NEUTRAL, 0)).toBe(2)
    expect(sample(logits, NEUTRAL, 1 - 2 ** -24)).toBe(2)
    expect(sample(logits, { ...NEUTRAL, temperature: 1e-320 }, 0.5)).toBe(2)
  })

  test('a number outside [0, 1) is a fault of the caller', () => {
    expect(() => sample(even, NEUTRAL, 1)).toThrow('uniform is 1')
    expect(() => sample(even, NEUTRAL, Number.NaN)).toThrow('uniform is NaN')
  })

  test('the logits are left alone', () => {
    const logits = LOGITS.slice()
    sample(logits, { temperature: 0.5, topK: 4, topP: 0.5, minP: 0.1 }, 0.3)
    expect(logits).toEqual(LOGITS)
  })
})

describe.each([Number.NaN, Infinity, -Infinity])('a logit of %p', (bad) => {
  const logits = LOGITS.slice()
  logits[4] = bad
  test.each<[string, () => unknown]>([
    ['greedy', () => sample(logits, { ...NEUTRAL, temperature: 0 }, 0)],
    ['sampling', () => sample(logits, { ...NEUTRAL, topK: 2 }, 0.5)],
    ['argmax', () => argmax(logits)],
    ['logSumExp', () => logSumExp(logits)],
    ['logprobs', () => tokenLogprobs(logits, 0, 3)],
  ])('is refused by %s', (_, act) => {
    expect(act).toThrow(`logit of token 4 is ${bad}`)
  })
})

test('argmax takes the lowest id of equals', () => {
  expect(argmax(LOGITS)).toBe(1)
  expect(argmax(new Float32Array([-5, -0, 0]))).toBe(1)
})

describe('log-probabilities', () => {
  test('of known distributions', () => {
    const logits = Float32Array.from([0.5, 0.25, 0.125, 0.125], Math.log)
    const { logprob, top } = tokenLogprobs(logits, 3, 3)
    expect(logprob).toBeCloseTo(Math.log(0.125), 6)
    expect(top.map((each) => each.id)).toEqual([0, 1, 2])
    expect(top.map((each) => Math.exp(each.logprob))).toEqual([
      expect.closeTo(0.5, 6),
      expect.closeTo(0.25, 6),
      expect.closeTo(0.125, 6),
    ])
    expect(tokenLogprobs(logits, 1, 0).top).toEqual([])
    expect(tokenLogprobs(logits, 1, 20).top.length).toBe(4)
  })

  test('sum to one for 32,000 tokens, far from zero too', () => {
    const logits = Float32Array.from({ length: 32_000 }, (_, id) => 1000 + 20 * uniform(3, id))
    const norm = logSumExp(logits)
    const sum = logits.reduce((total, logit) => total + Math.exp(logit - norm), 0)
    expect(Math.abs(sum - 1)).toBeLessThan(1e-9)
    expect(tokenLogprobs(logits, 17, 0).logprob).toBe(logits[17] - norm)
  })

  test('the best ranked are those of a sort, ties by id', () => {
    fc.assert(
      fc.property(tiedLogits, fc.nat({ max: 20 }), (logits, count) => {
        const sorted = [...logits.keys()].sort((a, b) => logits[b] - logits[a] || a - b)
        expect(bestRanked(logits, count)).toEqual(sorted.slice(0, count))
      }),
      { seed: 4, numRuns: 2000 },
    )
  })
})

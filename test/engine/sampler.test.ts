// The sampler against an independent distribution, its borders, its weights, and what goes to and
// comes from the device.
import { describe, expect, test } from 'bun:test'
import { randomBits } from '../../src/engine/random.ts'
import type { SamplingParams } from '../../src/engine/request.ts'
import {
  readResult,
  type SlotTables,
  sampleRow,
  samplingFields,
  tokenLogprobs,
  weightOfDeficit,
} from '../../src/engine/sampler.ts'
import { RESULT_WORDS } from '../../src/gpu/ops/sample.ts'
import { chiSquareRatio, distribution, NEUTRAL } from '../helpers/sampling.ts'

const LOGITS = new Float32Array([0.5, 2, -1, 2, 0, 1, -0.5, 1.5, 1, -3, 0.25, 1])
const GREATEST = 2 ** 32 - 1

/** Every other token was seen: in the prompt, in the completion, in both. */
const HISTORY = Uint32Array.from(LOGITS, (_, id) => [0, 2 ** 31, 0, 3, 0, 2 ** 31 + 1][id % 6])
const logitBias = new Map([
  [2, 2.5],
  [9, 5],
])

/** The tables that the engine would fill for these parameters. */
function tablesOf({ logitBias, allowedTokenIds, bannedTokenIds }: SamplingParams): SlotTables {
  const bias = new Float32Array(LOGITS.length)
  for (const [id, value] of logitBias ?? []) bias[id] = value
  const mask = new Uint32Array(1)
  for (const id of allowedTokenIds ?? LOGITS.keys()) mask[0] |= 1 << id
  for (const id of bannedTokenIds ?? []) mask[0] &= ~(1 << id)
  return { bias, mask, history: HISTORY }
}

test.each<[string, Partial<SamplingParams>, number]>([
  ['nothing', {}, 12],
  ['temperature 0.5', { temperature: 0.5 }, 12],
  ['temperature 3', { temperature: 3 }, 12],
  ['top-k 5, with a tie at the border', { topK: 5 }, 5],
  ['top-p 0.45', { topP: 0.45 }, 2],
  ['top-p 0.65, with a tie at the border', { topP: 0.65 }, 4],
  ['min-p 0.3', { minP: 0.3 }, 6],
  ['penalties', { repetitionPenalty: 1.5, presencePenalty: 0.4, frequencyPenalty: 0.3 }, 12],
  ['bias', { logitBias, topK: 8 }, 8],
  ['masks', { allowedTokenIds: [0, 1, 5, 6, 8, 9], bannedTokenIds: [1] }, 5],
  [
    'all',
    { temperature: 1.5, topK: 8, topP: 0.85, minP: 0.45, logitBias, presencePenalty: 0.25 },
    6,
  ],
])('100,000 draws with %s', (_, change, kept) => {
  const params = { ...NEUTRAL, ...change }
  const fields = samplingFields(params)
  const tables = tablesOf(params)
  const counts = new Array(LOGITS.length).fill(0)
  for (let step = 0; step < 100_000; step++) {
    const drawn = sampleRow(LOGITS, { ...fields, random: randomBits(11, step) }, tables)
    expect(drawn.kept).toBe(kept)
    counts[drawn.id]++
  }
  const probabilities = distribution(LOGITS, params, tables)
  expect(probabilities.filter((probability) => probability > 0).length).toBe(kept)
  expect(chiSquareRatio(counts, probabilities)).toBeLessThan(1)
})

test('chi-square tells a distribution from one that is off by 5 %', () => {
  const counts = [50_000, 50_000]
  expect(chiSquareRatio(counts, [0.5, 0.5])).toBe(0)
  expect(chiSquareRatio(counts, [0.525, 0.475])).toBeGreaterThan(1)
  expect(chiSquareRatio([1, 99_999], [0, 1])).toBe(Infinity)
})

describe('borders', () => {
  const even = new Float32Array(8)
  test.each<[string, Partial<SamplingParams>, number, number, number]>([
    ['the least number draws the first token', {}, 0, 0, 8],
    ['the greatest number draws the last token', {}, GREATEST, 7, 8],
    ['a number at the border of two tokens draws the later', {}, 2 ** 31, 4, 8],
    ['a share that is met exactly needs no further token', { topP: 0.5 }, GREATEST, 3, 4],
    ['a share just above needs one', { topP: 0.50001 }, GREATEST, 4, 5],
    ['top-p 0 keeps the best token', { topP: 0 }, GREATEST, 0, 1],
    ['top-k above the vocabulary keeps all', { topK: 1e12 }, GREATEST, 7, 8],
    ['min-p 1 keeps all that equal the best', { minP: 1 }, GREATEST, 7, 8],
    ['temperature 0 takes the first of the best', { temperature: 0 }, GREATEST, 0, 1],
    ['an infinite temperature draws evenly', { temperature: Infinity }, GREATEST, 7, 8],
  ])('%s', (_, change, random, id, kept) => {
    const row = { ...samplingFields({ ...NEUTRAL, ...change }), random }
    expect(sampleRow(even, row)).toEqual({ id, kept, finite: true, allowed: true })
  })

  test('a token past a deficit of 30 is never drawn', () => {
    const logits = new Float32Array([-3e38, 0, 3e38, -3e38])
    const row = samplingFields(NEUTRAL)
    for (const random of [0, GREATEST]) {
      expect(sampleRow(logits, { ...row, random })).toMatchObject({ id: 2, kept: 1 })
    }
    const edge = new Float32Array([0, 30, 31]).map((deficit) => -deficit * Math.LN2)
    expect(sampleRow(edge, { ...row, scale: Math.fround(Math.LOG2E), random: 0 }).kept).toBe(2)
  })

  test('zeros of both signs and what is next to them rank by id', () => {
    const logits = new Float32Array([-1, -0, 1e-40, 0])
    const row = { ...samplingFields({ ...NEUTRAL, temperature: 0 }), random: 0 }
    expect(sampleRow(logits, row).id).toBe(1)
  })

  test('a mask that allows nothing, and one that allows one token', () => {
    const row = { ...samplingFields({ ...NEUTRAL, allowedTokenIds: [] }), random: 5 }
    const none = sampleRow(even, row, { mask: new Uint32Array([0]) })
    expect(none).toEqual({ id: 0, kept: 0, finite: true, allowed: false })
    expect(sampleRow(even, row, { mask: new Uint32Array([1 << 6]) }).id).toBe(6)
  })

  test.each([Number.NaN, Infinity, -Infinity])('a logit of %p is told', (bad) => {
    const row = { ...samplingFields(NEUTRAL), random: 0 }
    const drawn = sampleRow(new Float32Array([1, bad, 2]), row)
    expect(drawn).toEqual({ id: 0, kept: 0, finite: false, allowed: true })
  })
})

describe('weights', () => {
  test('are within 2^-16 of the exact power and fall as deficits rise', () => {
    expect(weightOfDeficit(0)).toBe(2 ** 30)
    let last = 2 ** 30
    let worst = 0
    for (let deficit = 1; deficit <= 65536; deficit++) {
      const weight = weightOfDeficit(deficit)
      if (weight > last) throw new Error(`weight rises at ${deficit}`)
      last = weight
      // The exact deficit is anywhere up to the next 65536th.
      for (const exact of [deficit, deficit + 1]) {
        worst = Math.max(worst, Math.abs(weight / 2 ** (30 - exact / 65536) - 1))
      }
    }
    expect(worst).toBeLessThan(2 ** -16)
    expect(last).toBe(2 ** 29)
  })

  test('halve with each whole deficit, down to 1 and 0', () => {
    for (let whole = 1; whole <= 30; whole++) {
      expect(weightOfDeficit(whole * 65536)).toBe(2 ** (30 - whole))
    }
    expect(weightOfDeficit(30 * 65536 + 1)).toBe(0)
  })
})

describe('fields for the device', () => {
  test('neutral parameters switch everything off', () => {
    expect(samplingFields({ ...NEUTRAL, logitBias: new Map(), bannedTokenIds: [] })).toEqual({
      scale: Math.fround(Math.LOG2E),
      topK: 0,
      topP: 65536,
      minWeight: 0,
      penalties: undefined,
      biased: false,
      masked: false,
    })
  })

  test.each<[Partial<SamplingParams>, object]>([
    [{ temperature: 0 }, { scale: 0 }],
    [{ temperature: 1e-6 }, { scale: 0 }],
    [{ temperature: 0.5 }, { scale: Math.fround(2 * Math.LOG2E) }],
    [{ topP: 0.9 }, { topP: 58982 }],
    [{ topP: 1e-9 }, { topP: 1 }],
    [{ minP: 0.1 }, { minWeight: 107374183 }],
    [{ minP: 1 }, { minWeight: 2 ** 30 }],
    [{ logitBias }, { biased: true }],
    [{ allowedTokenIds: [] }, { masked: true }],
    [{ bannedTokenIds: [3] }, { masked: true }],
    [{ frequencyPenalty: 0.5 }, { penalties: { repetition: 1, presence: 0, frequency: 0.5 } }],
    [
      { repetitionPenalty: 1.1, presencePenalty: -1 },
      { penalties: { repetition: 1.1, presence: -1, frequency: 0 } },
    ],
  ])('%p', (change, expected) => {
    expect(samplingFields({ ...NEUTRAL, ...change })).toMatchObject(expected)
  })
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
    const logits = Float32Array.from({ length: 32_000 }, (_, id) => 1000 + randomBits(3, id) / 2e8)
    const { top } = tokenLogprobs(logits, 0, logits.length)
    const sum = top.reduce((total, { logprob }) => total + Math.exp(logprob), 0)
    expect(Math.abs(sum - 1)).toBeLessThan(1e-9)
  })
})

test('a row of results is read from its place', () => {
  const words = new Uint32Array(3 * RESULT_WORDS).fill(7)
  const floats = new Float32Array(words.buffer)
  const at = RESULT_WORDS
  words.set([42, 0], at)
  floats[at + 2] = -1.5
  words.set([42, 3, 2 ** 32 - 1], at + 4)
  floats.set([-1.5, -2], at + 24)
  const logprobs = { id: 42, finite: true, allowed: true, logprob: -1.5 }
  const top = [
    { id: 42, logprob: -1.5 },
    { id: 3, logprob: -2 },
  ]
  expect(readResult(words, at, 2)).toEqual({ ...logprobs, top })
  expect(readResult(words, at, 5)).toEqual({ ...logprobs, top })
  expect(readResult(words, at, 0)).toEqual({ ...logprobs, top: [] })
  expect(readResult(words, at, undefined)).toEqual({ ...logprobs, logprob: Number.NaN, top: [] })
  words[at + 1] = 2
  expect(readResult(words, at, 2)).toMatchObject({ finite: true, allowed: false, top: [] })
})

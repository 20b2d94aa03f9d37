// Log-probabilities and scores, rows beside each other, and logits that are not finite.
import { describe, expect, test } from 'bun:test'
import { readResult, tokenLogprobs } from '../../src/engine/sampler.ts'
import { RESULT_WORDS } from '../../src/gpu/ops/sample.ts'
import type { SampleRow } from '../../src/gpu/step.ts'
import { openTestGpu, variants } from '../helpers/gpu.ts'
import { Random } from '../helpers/numbers.ts'
import { NEUTRAL_ROW, POISON, runSample } from '../helpers/sampling.ts'

const gpu = await openTestGpu()

describe.each(variants)('sample, %s', (variant) => {
  test.each([
    { name: 'one token', vocabSize: 1, offset: 3, size: 1 },
    { name: 'fewer tokens than asked for', vocabSize: 7, offset: 0, size: 2 },
    { name: 'many ties', vocabSize: 500, offset: 0, size: 0 },
    { name: 'a model of its size', vocabSize: 4096, offset: -5, size: 3 },
    { name: 'far from 0', vocabSize: 32_003, offset: 1000, size: 20 },
  ])('log-probabilities: $name', async ({ vocabSize, offset, size }) => {
    const random = new Random(vocabSize)
    const logits = Float32Array.from({ length: vocabSize }, () =>
      size === 0
        ? random.integer(-1, 1) * (random.uniform() < 0.5 ? 0 : 1)
        : offset + size * random.normal(),
    )
    const last = vocabSize - 1
    const rows: SampleRow[] = [
      { ...NEUTRAL_ROW, slot: 0, scale: 0, top: 20 },
      { ...NEUTRAL_ROW, slot: 1, random: 2 ** 31, top: 5 },
      { ...NEUTRAL_ROW, slot: 2, target: last, top: 20 },
      { ...NEUTRAL_ROW, slot: 3, target: last, top: 0 },
      // Bias and penalties choose another token; what is reported is of the raw logits.
      { ...NEUTRAL_ROW, slot: 4, scale: 0, top: 1, biased: true },
    ]
    const bias = new Float32Array(vocabSize)
    bias[last] = 1e6
    const tables = [{}, {}, {}, {}, { bias }]
    const { results, sampled } = await runSample(gpu, variant, { logits: [logits], rows, tables })
    for (const [index, { top = 0, target }] of rows.entries()) {
      const found = readResult(results, index * RESULT_WORDS, top)
      const expected = tokenLogprobs(logits, found.id, top)
      // float32 holds differences of these logits to 1e-7 of themselves.
      const close = (value: number) => expect.closeTo(value, 4)
      expect(found).toEqual({
        id: target ?? found.id,
        finite: true,
        allowed: true,
        logprob: close(expected.logprob),
        top: expected.top.map(({ id, logprob }) => ({ id, logprob: close(logprob) })),
      })
      expect(Math.abs(found.logprob - expected.logprob)).toBeLessThan(1e-5 + 1e-6 * size)
      expect(sampled[index]).toBe(target === undefined ? found.id : POISON)
      const places = [...results.subarray(index * RESULT_WORDS + 4, (index + 1) * RESULT_WORDS)]
      expect(places.slice(top, 20).every((word) => word === POISON)).toBe(true)
      expect(places.slice(20 + expected.top.length).every((word) => word === POISON)).toBe(true)
    }
    expect(results[4 * RESULT_WORDS]).toBe(last)
  })

  test('a score leaves the history alone', async () => {
    const logits = new Float32Array([1, 2, 3])
    const history = new Uint32Array([5, 0, 2 ** 31])
    const penalties = { repetition: 2, presence: 1, frequency: 1 }
    const rows = [{ ...NEUTRAL_ROW, target: 0, top: 0, penalties }]
    const outcome = await runSample(gpu, variant, { logits: [logits], rows, tables: [{ history }] })
    expect(outcome.history).toEqual(history)
    const { logprob } = readResult(outcome.results, 0, 0)
    expect(logprob).toBeCloseTo(tokenLogprobs(logits, 0, 0).logprob, 5)
  })

  test('a row has the same bits alone and among 64', async () => {
    const random = new Random(64)
    const logits = Array.from({ length: 64 }, () => random.normals(1500, 3))
    const rows = logits.map((_, index) => ({
      ...NEUTRAL_ROW,
      logitRow: index,
      slot: index,
      random: Math.floor(random.uniform() * 2 ** 32),
      top: index % 21,
      topK: 300 * (index % 3),
      topP: index % 2 === 0 ? 60_000 : 65536,
    }))
    const crowd = await runSample(gpu, variant, { logits, rows })
    for (const index of [0, 1, 17, 40, 63]) {
      const alone = await runSample(gpu, variant, {
        logits: [logits[index]],
        rows: [{ ...rows[index], logitRow: 0, slot: 0 }],
      })
      const at = index * RESULT_WORDS
      expect(alone.results).toEqual(crowd.results.slice(at, at + RESULT_WORDS))
    }
  })

  test.each([Number.NaN, Infinity, -Infinity])('a logit of %p', async (bad) => {
    const random = new Random(4)
    const logits = Array.from({ length: 3 }, () => random.normals(200, 3))
    const good = logits.map((row) => row.slice())
    logits[1][133] = bad
    const mask = new Uint32Array(7)
    const rows: SampleRow[] = [
      { ...NEUTRAL_ROW, slot: 0, logitRow: 0, top: 3 },
      { ...NEUTRAL_ROW, slot: 1, logitRow: 1, top: 3, topP: 30_000 },
      { ...NEUTRAL_ROW, slot: 2, logitRow: 1, scale: 0 },
      { ...NEUTRAL_ROW, slot: 3, logitRow: 1, target: 7, top: 3 },
      { ...NEUTRAL_ROW, slot: 4, logitRow: 1, masked: true },
      { ...NEUTRAL_ROW, slot: 5, logitRow: 2, top: 3, topP: 30_000 },
    ]
    const tables = [{}, {}, {}, {}, { mask }, {}]
    const found = await runSample(gpu, variant, { logits, rows, tables })
    const clean = await runSample(gpu, variant, { logits: good, rows, tables })
    const row = (results: Uint32Array, index: number) =>
      results.slice(index * RESULT_WORDS, (index + 1) * RESULT_WORDS)
    for (const index of [0, 5]) {
      expect(row(found.results, index)).toEqual(row(clean.results, index))
    }
    const nothing = new Array(40).fill(POISON)
    expect([...row(found.results, 1)]).toEqual([0, 1, POISON, 0, ...nothing])
    expect([...row(found.results, 2)]).toEqual([0, 1, POISON, 0, ...nothing])
    expect([...row(found.results, 3)]).toEqual([7, 1, POISON, 0, ...nothing])
    expect([...row(found.results, 4)]).toEqual([0, 3, POISON, 0, ...nothing])
    expect(readResult(found.results, RESULT_WORDS, 3)).toMatchObject({ finite: false, top: [] })
    expect([...found.sampled.subarray(1, 5)]).toEqual([0, 0, POISON, 0])
  })
})

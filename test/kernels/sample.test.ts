// The kernel draws what the sampler in TypeScript draws, for the same logits and random bits.
import { describe, expect, test } from 'bun:test'
import { randomBits } from '../../src/engine/random.ts'
import {
  type SlotTables,
  sampleRow,
  samplingFields,
  weightOfDeficit,
} from '../../src/engine/sampler.ts'
import { RESULT_WORDS } from '../../src/gpu/ops/sample.ts'
import type { SampleRow } from '../../src/gpu/step.ts'
import { openTestGpu, variants } from '../helpers/gpu.ts'
import { Random } from '../helpers/numbers.ts'
import {
  chiSquareRatio,
  distribution,
  NEUTRAL,
  NEUTRAL_ROW,
  POISON,
  runSample,
} from '../helpers/sampling.ts'

const gpu = await openTestGpu()

/** Rows of logits: wide, with many ties, all equal, with zeros of both signs, past sums of float32. */
const SHAPES: ((random: Random) => number)[] = [
  (random) => 4 * random.normal(),
  (random) => Math.round(6 * random.normal()) / 2,
  () => -7.25,
  (random) => random.integer(-1, 1) * (random.uniform() < 0.5 ? 0 : 1e-39),
  (random) => 3e38 * (2 * random.uniform() - 1),
]
const TEMPERATURES = [0, 0.01, 0.3, 1, 1, 1.7, 100, 1e6]
const TOP_P = [1, 1, 1e-6, 0.01, 0.5, 0.9, 0.99999]
const MIN_P = [0, 0, 0.001, 0.2, 1]

function pick<T>(random: Random, values: readonly T[]): T {
  return values[random.integer(0, values.length - 1)]
}

/** A row with any mix of parameters, of a slot of its own. */
function randomRow(random: Random, vocabSize: number, slot: number): SampleRow {
  const draws = random.integer(0, 5)
  return {
    ...NEUTRAL_ROW,
    ...samplingFields({
      temperature: pick(random, TEMPERATURES),
      topP: pick(random, TOP_P),
      topK: pick(random, [0, 0, 1, 2, vocabSize, vocabSize + 7, random.integer(1, vocabSize)]),
      minP: pick(random, MIN_P),
      seed: undefined,
    }),
    logitRow: slot % SHAPES.length,
    slot,
    random: draws < 2 ? -draws >>> 0 : Math.floor(random.uniform() * 2 ** 32),
    biased: random.uniform() < 0.2,
    masked: random.uniform() < 0.2,
    // Steps of a half: the product with a count is exact, so that fusing cannot show.
    penalties:
      random.uniform() < 0.3
        ? { repetition: 1.3, presence: pick(random, [0, 0.7]), frequency: pick(random, [0, 1.5]) }
        : undefined,
  }
}

function randomTables(random: Random, vocabSize: number): SlotTables {
  const share = pick(random, [0, 0.02, 0.5, 1])
  const mask = new Uint32Array(Math.ceil(vocabSize / 32))
  const allow = (id: number) => {
    mask[id >> 5] |= 1 << (id & 31)
  }
  for (let id = 0; id < vocabSize; id++) if (random.uniform() < share) allow(id)
  // One token alone, or none at all.
  if (share === 0 && random.uniform() < 0.5) allow(random.integer(0, vocabSize - 1))
  return {
    bias: Float32Array.from({ length: vocabSize }, () =>
      random.uniform() < 0.9 ? 0 : random.integer(-100, 100),
    ),
    mask,
    history: Uint32Array.from({ length: vocabSize }, () =>
      random.uniform() < 0.8 ? 0 : random.integer(0, 1) * 2 ** 31 + random.integer(0, 3),
    ),
  }
}

describe.each(variants)('sample, %s', (variant) => {
  test.each([
    { vocabSize: 1, rows: 200 },
    { vocabSize: 2, rows: 400 },
    { vocabSize: 5, rows: 600 },
    { vocabSize: 97, rows: 600 },
    { vocabSize: 4096, rows: 120 },
    { vocabSize: 32_003, rows: 30 },
    { vocabSize: 2 ** 18, rows: 5 },
  ])('draws like the sampler: $rows rows of $vocabSize', async ({ vocabSize, rows: count }) => {
    const random = new Random(vocabSize)
    const logits = SHAPES.map((shape) =>
      Float32Array.from({ length: vocabSize }, () => shape(random)),
    )
    const rows = Array.from({ length: count }, (_, slot) => randomRow(random, vocabSize, slot))
    const tables = rows.map(() => randomTables(random, vocabSize))
    const { results, sampled, history } = await runSample(gpu, variant, { logits, rows, tables })
    const expected = rows.map((row, slot) => sampleRow(logits[row.logitRow], row, tables[slot]))
    for (const [slot, { id, kept, allowed }] of expected.entries()) {
      const row = results.subarray(slot * RESULT_WORDS, (slot + 1) * RESULT_WORDS)
      const what = JSON.stringify(rows[slot])
      expect(`${row[0]} of ${row[3]}, ${what}`).toBe(`${id} of ${kept}, ${what}`)
      expect(row[1]).toBe(allowed ? 0 : 2)
      expect(row[2]).toBe(POISON)
      expect(row.subarray(4).every((word) => word === POISON)).toBe(true)
      const after = tables[slot].history?.slice() ?? new Uint32Array()
      if (rows[slot].penalties && allowed) after[id]++
      expect(history.subarray(slot * vocabSize, (slot + 1) * vocabSize)).toEqual(after)
    }
    expect([...sampled]).toEqual(expected.map(({ id }) => id))
  })

  test('the share of top-p is rounded up', async () => {
    // All weights but a 65536th are 2^30 and three quarters of 1: more than the best token has.
    const weight = 2 ** 14 + 1
    let deficit = 15 * 65536
    while (weightOfDeficit(deficit) > weight) deficit++
    expect(weightOfDeficit(deficit)).toBe(weight)
    const logits = [new Float32Array([0, -(deficit + 0.5) / 65536])]
    const row = { ...NEUTRAL_ROW, scale: 1, topP: 65535 }
    const { results } = await runSample(gpu, variant, { logits, rows: [row] })
    expect(results[3]).toBe(2)
    expect(sampleRow(logits[0], row).kept).toBe(2)
  })

  test('sums of 2^48', async () => {
    const vocabSize = 2 ** 18
    const logits = [new Float32Array(vocabSize).fill(3)]
    const rows = [{}, { topP: 65535 }, { topP: 1 }, { topK: vocabSize - 1, topP: 40_000 }].map(
      (change, slot) => ({ ...NEUTRAL_ROW, ...change, slot, random: 2 ** 32 - 1 }),
    )
    const { results } = await runSample(gpu, variant, { logits, rows })
    const kept = [vocabSize, vocabSize - 4, 4, Math.ceil(((vocabSize - 1) * 40_000) / 65536)]
    for (const [index, count] of kept.entries()) {
      const [id, , , found] = results.subarray(index * RESULT_WORDS)
      expect([found, id]).toEqual([count, count - 1])
    }
  })
})

const LOGITS = new Float32Array([0.5, 2, -1, 2, 0, 1, -0.5, 1.5, 1, -3, 0.25, 1])

test.each([
  ['temperature 0.5', { temperature: 0.5 }],
  ['top-k 4, with a tie at the border', { topK: 4 }],
  ['all', { temperature: 1.5, topK: 9, topP: 0.9, minP: 0.2 }],
])('100,000 draws on the device with %s', async (_, change) => {
  const params = { ...NEUTRAL, ...change }
  const fields = samplingFields(params)
  const rows = Array.from({ length: 100_000 }, (_, step) => ({
    ...NEUTRAL_ROW,
    ...fields,
    random: randomBits(21, step),
  }))
  const { results } = await runSample(gpu, 'plain', { logits: [LOGITS], rows })
  const counts = new Array(LOGITS.length).fill(0)
  for (let at = 0; at < results.length; at += RESULT_WORDS) counts[results[at]]++
  expect(chiSquareRatio(counts, distribution(LOGITS, params))).toBeLessThan(1)
})

// What the tests of the sampler and of its kernel share: rows, the distribution that the parameters
// ask for, chi-square, and a run of the kernel on poisoned buffers.
import type { SamplingParams } from '../../src/engine/request.ts'
import type { SlotTables } from '../../src/engine/sampler.ts'
import { RESULT_WORDS, sample } from '../../src/gpu/ops/sample.ts'
import { type SampleRow, StepBuffer } from '../../src/gpu/step.ts'
import type { Variant } from '../../src/gpu/tuning.ts'
import type { openTestGpu } from './gpu.ts'

/** Draws by the softmax itself. */
export const NEUTRAL: SamplingParams = {
  temperature: 1,
  topP: 1,
  topK: 0,
  minP: 0,
  seed: undefined,
}

/** The same, from logits row 0 for slot 0. */
export const NEUTRAL_ROW: SampleRow = {
  logitRow: 0,
  slot: 0,
  top: undefined,
  scale: Math.fround(Math.LOG2E),
  topK: 0,
  topP: 65536,
  minWeight: 0,
  random: 0,
  biased: false,
  masked: false,
  penalties: undefined,
}

/** The probability of each token, in float64 and by another way than the sampler's. */
export function distribution(
  logits: Float32Array,
  params: SamplingParams,
  { history }: Pick<SlotTables, 'history'> = {},
): Float64Array {
  const { temperature, topK, topP, minP, logitBias, allowedTokenIds, bannedTokenIds } = params
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = params
  const tokens = Array.from(logits, (logit, id) => {
    let l = logit + (logitBias?.get(id) ?? 0)
    const seen = history?.[id] ?? 0
    const times = seen % 2 ** 31
    if (seen > 0) l = l > 0 ? l / repetitionPenalty : l * repetitionPenalty
    if (times > 0) l -= presencePenalty + frequencyPenalty * times
    return { id, logit: l, probability: 0 }
  }).filter(({ id }) => (allowedTokenIds ?? [id]).includes(id) && !bannedTokenIds?.includes(id))
  tokens.sort((left, right) => right.logit - left.logit || left.id - right.id)
  const normalize = (kept: typeof tokens) => {
    const sum = kept.reduce((total, { probability }) => total + probability, 0)
    return kept.map((token) => ({ ...token, probability: token.probability / sum }))
  }
  let kept = tokens.map((token) => ({
    ...token,
    probability: Math.exp((token.logit - tokens[0].logit) / temperature),
  }))
  kept = normalize(topK > 0 ? kept.slice(0, topK) : kept)
  let last = 0
  for (let reached = kept[0].probability; reached < topP && last < kept.length - 1; ) {
    reached += kept[++last].probability
  }
  kept = kept.slice(0, last + 1)
  kept = normalize(kept.filter(({ probability }) => probability >= minP * kept[0].probability))
  const probabilities = new Float64Array(logits.length)
  for (const { id, probability } of kept) probabilities[id] = probability
  return probabilities
}

/**
 * How far counts are from probabilities, over the value that chance exceeds once in 10,000 times
 * (Wilson and Hilferty's approximation). Infinite if an impossible token was drawn.
 */
export function chiSquareRatio(
  counts: ArrayLike<number>,
  probabilities: ArrayLike<number>,
): number {
  const draws = Array.from(counts).reduce((sum, count) => sum + count, 0)
  let chiSquare = 0
  let freedom = -1
  for (let id = 0; id < probabilities.length; id++) {
    const expected = probabilities[id] * draws
    if (expected === 0 && counts[id] > 0) return Number.POSITIVE_INFINITY
    if (expected === 0) continue
    chiSquare += (counts[id] - expected) ** 2 / expected
    freedom++
  }
  if (freedom === 0) return 0
  const spread = 2 / (9 * freedom)
  return chiSquare / (freedom * (1 - spread + 3.719 * Math.sqrt(spread)) ** 3)
}

/** What the kernel is given; tables left out are poisoned. */
export interface SampleProblem {
  /** [logit rows][vocabulary] */
  logits: Float32Array[]
  rows: SampleRow[]
  /** [slots] */
  tables?: SlotTables[]
}

export interface SampleOutcome {
  /** [samples, RESULT_WORDS] */
  results: Uint32Array
  /** [slots] */
  sampled: Uint32Array
  /** [slots, vocabulary] */
  history: Uint32Array
}

/** What outputs are filled with: no id, and NaN as a float. */
export const POISON = 0xffc0ffee

/** Runs the kernel on new buffers. */
export async function runSample(
  { gpu, buffers, tuning, run }: Awaited<ReturnType<typeof openTestGpu>>,
  variant: Variant,
  { logits, rows, tables = [] }: SampleProblem,
): Promise<SampleOutcome> {
  const vocabSize = logits[0].length
  const slots = rows.reduce((most, { slot }) => Math.max(most, slot + 1), tables.length)
  const upload = async (data: Uint32Array) => ({ buffer: await buffers.upload('sample', data) })
  const table = (words: number, name: keyof SlotTables) => {
    const data = new Uint32Array(slots * words).fill(POISON)
    for (const [slot, each] of tables.entries()) {
      const row = each[name]
      if (row) data.set(new Uint32Array(row.buffer, row.byteOffset, words), slot * words)
    }
    return upload(data)
  }
  const flat = new Float32Array(logits.length * vocabSize)
  for (const [row, each] of logits.entries()) flat.set(each, row * vocabSize)
  const ranges = {
    logits: await upload(new Uint32Array(flat.buffer)),
    bias: await table(vocabSize, 'bias'),
    masks: await table(Math.ceil(vocabSize / 32), 'mask'),
    history: await table(vocabSize, 'history'),
    sampled: await upload(new Uint32Array(slots).fill(POISON)),
    results: await upload(new Uint32Array(rows.length * RESULT_WORDS).fill(POISON)),
  }
  const logitRows = Math.max(rows.length, logits.length)
  const step = await StepBuffer.create(buffers, { tokens: 1, segments: 1, logitRows })
  const counts = step.write(gpu.device.queue, [], rows, logits.length)
  const maxInvocations = gpu.device.limits.maxComputeInvocationsPerWorkgroup
  const options = { step: step.tables, vocabSize, maxInvocations, ...ranges }
  await run(sample(tuning(variant), options), counts)
  const [results, sampled, history] = await Promise.all(
    [ranges.results, ranges.sampled, ranges.history].map((range) => buffers.read(range)),
  )
  for (const { buffer } of Object.values(ranges)) buffers.destroy(buffer)
  buffers.destroy(step.buffer)
  return {
    results: new Uint32Array(results),
    sampled: new Uint32Array(sampled),
    history: new Uint32Array(history),
  }
}

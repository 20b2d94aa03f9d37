// What sampling means here, in plain TypeScript; kernels/sample.wgsl does the same on the device.
//
// 1. Adjusted logits are float32, and each operation rounds to float32: bias is added; then, with
//    penalties, a token that was seen is multiplied by 1 / repetition if positive, else by
//    repetition, and a token that was drawn loses presence + frequency · times. A device may fuse
//    these products with the sums that follow them: only there can the last bit of a logit differ.
//    What overflows is the largest finite number; what is smaller than 2^-126 is 0.
//    Tokens that the mask does not allow take no part at all.
// 2. Tokens rank by adjusted logit, equal ones by lower id. Greedy takes the first.
// 3. A token's deficit is (best logit - logit) · scale, where scale is log2(e) / temperature: each of
//    the two operations rounds to float32, then 65536ths are kept and the rest is cut off. Its weight
//    is the integer 2^30 · 2^-deficit: the best has 2^30. Weights are within 2^-16 of the exact
//    ones; past a deficit of 30 they are 0, and such tokens are out.
// 4. Top-k keeps so many best-ranked tokens; of these top-p keeps the fewest best-ranked whose
//    weights reach its share of their sum, rounded up; of these min-p keeps those of at least its
//    weight. The best-ranked token is always kept.
// 5. In order of ids, the first kept token is drawn where the running sum of weights exceeds
//    random / 2^32 of their sum, rounded down.
//
// Steps 3 to 5 are exact integers, so that no order of summation, device or batch can change them.

import type { Penalties, SampleRow } from '../gpu/step.ts'
import { MAX_TOP } from '../gpu/step.ts'
import type { SamplingParams, TokenLogprob } from './request.ts'

/** The fields of a sample row that its request decides once. */
export type SamplingFields = Pick<
  SampleRow,
  'scale' | 'topK' | 'topP' | 'minWeight' | 'penalties' | 'biased' | 'masked'
>

/** The rows of the slot's tables, each as long as the vocabulary; those that a row asks for. */
export interface SlotTables {
  /** Added to the logits. */
  bias?: Float32Array
  /** Token i is allowed if bit i % 32 of word i / 32 is set: ceil(vocabulary / 32) words. */
  mask?: Uint32Array
  /** Bit 31: the token occurs in the prompt; the rest: times that it was drawn. */
  history?: Uint32Array
}

/** What was drawn from one row of logits. */
export interface Drawn {
  /** 0 if a logit is not finite or no token is allowed. */
  id: number
  /** Tokens that it was drawn from; 1 if greedy, 0 if none was drawn. */
  kept: number
  /** False if a logit is NaN or infinite. */
  finite: boolean
  /** False if the mask allows no token. */
  allowed: boolean
}

/** What the device reports about one row. */
export interface SampleResult extends TokenLogprob, Pick<Drawn, 'finite' | 'allowed'> {
  /** The best tokens by raw logits, best first. */
  top: TokenLogprob[]
}

/** Lower temperatures are greedy: they differ from it for logits closer than a float32 can tell. */
const MIN_TEMPERATURE = 1e-5
/** Log2 of the weight of the best token. */
const UNIT_BITS = 30
const UNIT = 2 ** UNIT_BITS
/** Deficits are in parts of this. */
const DEFICIT_ONE = 65536
const LARGEST = (2 - 2 ** -23) * 2 ** 127
const SMALLEST = 2 ** -126

/** How the device is told what a request asks for. */
export function samplingFields(sampling: SamplingParams): SamplingFields {
  const { temperature, topK, topP, minP, logitBias, allowedTokenIds, bannedTokenIds } = sampling
  const penalties: Penalties = {
    repetition: sampling.repetitionPenalty ?? 1,
    presence: sampling.presencePenalty ?? 0,
    frequency: sampling.frequencyPenalty ?? 0,
  }
  const { repetition, presence, frequency } = penalties
  const penalized = repetition !== 1 || presence !== 0 || frequency !== 0
  const scale = Math.max(Math.fround(Math.LOG2E / temperature), SMALLEST)
  return {
    scale: temperature < MIN_TEMPERATURE ? 0 : scale,
    topK: Math.min(topK, 2 ** 32 - 1),
    topP: Math.min(Math.max(Math.round(topP * 65536), 1), 65536),
    minWeight: Math.ceil(minP * UNIT),
    penalties: penalized ? penalties : undefined,
    biased: logitBias !== undefined && logitBias.size > 0,
    masked: allowedTokenIds !== undefined || (bannedTokenIds?.length ?? 0) > 0,
  }
}

/** Draws a token as the device does. `logits`: [vocabulary]. */
export function sampleRow(
  logits: Float32Array,
  row: SamplingFields & Pick<SampleRow, 'random'>,
  tables: SlotTables = {},
): Drawn {
  const adjusted = logits.map((logit, id) => adjust(logit, id, row, tables))
  const mask = row.masked ? tables.mask : undefined
  const ranked = [...logits.keys()]
    .filter((id) => mask === undefined || (mask[id >> 5] >>> (id & 31)) & 1)
    .sort((left, right) => adjusted[right] - adjusted[left] || left - right)
  const finite = logits.every(Number.isFinite)
  const allowed = ranked.length > 0
  if (!finite || !allowed) return { id: 0, kept: 0, finite, allowed }
  if (row.scale === 0) return { id: ranked[0], kept: 1, finite, allowed }

  const best = adjusted[ranked[0]]
  const weights = adjusted.map((logit) => weightOf(best, logit, row.scale))
  const sumOf = (ids: number[]) => ids.reduce((sum, id) => sum + weights[id], 0)
  let kept = ranked.filter((id) => weights[id] > 0)
  if (row.topK > 0) kept = kept.slice(0, row.topK)
  if (row.topP < 65536) {
    const target = Number((BigInt(sumOf(kept)) * BigInt(row.topP) + 65535n) >> 16n)
    let reached = 0
    kept = kept.filter((id) => {
      const wanted = reached < target
      reached += weights[id]
      return wanted
    })
  }
  kept = kept.filter((id) => weights[id] >= row.minWeight)
  const point = Number((BigInt(sumOf(kept)) * BigInt(row.random)) >> 32n)
  let sum = 0
  kept.sort((left, right) => left - right)
  const id = kept.find((each) => {
    sum += weights[each]
    return sum > point
  })
  return { id: id as number, kept: kept.length, finite, allowed }
}

/** Step 1 of the definition. */
function adjust(logit: number, id: number, row: SamplingFields, tables: SlotTables): number {
  let l = logit
  if (row.biased && tables.bias) l = Math.fround(l + tables.bias[id])
  const seen = tables.history?.[id] ?? 0
  if (row.penalties && seen !== 0) {
    const { repetition, presence, frequency } = row.penalties
    l = Math.fround(l * Math.fround(l > 0 ? 1 / repetition : repetition))
    const times = seen & 0x7fffffff
    if (times > 0) {
      const product = Math.fround(Math.fround(frequency) * Math.fround(times))
      l = Math.fround(l - Math.fround(Math.fround(presence) + product))
    }
  }
  if (Math.abs(l) < SMALLEST) return 0
  return Math.min(Math.max(l, -LARGEST), LARGEST)
}

/** Step 3 of the definition. */
function weightOf(best: number, logit: number, scale: number): number {
  const deficit = Math.fround(Math.fround(best - logit) * scale)
  return deficit < 31 ? weightOfDeficit(Math.trunc(deficit * DEFICIT_ONE)) : 0
}

/**
 * 2^30 · 2^(-deficit / 65536), rounded down, for deficits below 31 · 65536. A polynomial for 2^-f
 * with f in [0, 1), of which the largest relative error is 2^-18.3; it falls as deficits rise.
 */
export function weightOfDeficit(deficit: number): number {
  const f = deficit % DEFICIT_ONE
  const times = (a: number) => Math.floor((a * f) / DEFICIT_ONE)
  const rest = 744171341 - times(257114718 - times(57148376 - times(7335688)))
  return (UNIT - times(rest)) >> Math.floor(deficit / DEFICIT_ONE)
}

/**
 * Reads a row of results (src/gpu/ops/sample.ts).
 * @param words results of the device, also read as float32
 * @param at first word of the row
 * @param top best tokens that the row asked for; undefined: no log-probabilities, `logprob` is NaN
 */
export function readResult(words: Uint32Array, at: number, top: number | undefined): SampleResult {
  const [id, flags] = words.subarray(at, at + 2)
  const result = { id, finite: (flags & 1) === 0, allowed: (flags & 2) === 0 }
  if (top === undefined || flags !== 0) return { ...result, logprob: Number.NaN, top: [] }
  const floats = new Float32Array(words.buffer, words.byteOffset, words.length)
  const best: TokenLogprob[] = []
  for (let place = at + 4; place < at + 4 + top; place++) {
    // Small vocabularies have fewer tokens than were asked for.
    if (words[place] === 2 ** 32 - 1) break
    best.push({ id: words[place], logprob: floats[place + MAX_TOP] })
  }
  return { ...result, logprob: floats[at + 2], top: best }
}

/**
 * Log-probability of token `id` and the `count` best-ranked tokens with theirs, best first, all of
 * the raw logits and in float64. `logits`: [vocabulary], finite.
 */
export function tokenLogprobs(
  logits: Float32Array,
  id: number,
  count: number,
): TokenLogprob & { top: TokenLogprob[] } {
  const ranked = [...logits.keys()].sort(
    (left, right) => logits[right] - logits[left] || left - right,
  )
  const largest = logits[ranked[0]]
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0)
  const logprob = (each: number) => logits[each] - largest - Math.log(sum)
  const top = ranked.slice(0, count).map((each) => ({ id: each, logprob: logprob(each) }))
  return { id, logprob: logprob(id), top }
}

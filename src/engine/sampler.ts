// Chooses tokens from logits in plain TypeScript: the definition of what sampling means here.
//
// Tokens are ranked by logit, equal logits by lower id. Temperature scales the logits; then top-k,
// top-p and min-p each keep a number of best-ranked tokens; then one of those is drawn.

import type { SamplingParams, TokenLogprob } from './request.ts'

/** The parameters that shape the distribution; the seed goes into `uniform` instead. */
export type Filters = Omit<SamplingParams, 'seed'>

/**
 * Chooses a token.
 *
 * 1. `temperature` 0: the best-ranked token. Else weights are exp((logit - max) / temperature).
 * 2. `topK` > 0: keep that many best-ranked tokens.
 * 3. `topP` < 1: of these, keep the fewest best-ranked whose share of their weight reaches `topP`.
 * 4. `minP` > 0: of these, keep those whose weight is at least `minP` times the greatest.
 * 5. In order of ids, choose the first kept token where the running sum of weights exceeds
 *    `uniform` times the sum of all kept.
 *
 * One token at least is always kept. `logits`: [vocabulary]; `uniform`: in [0, 1), unused if greedy.
 * Throws if a logit is NaN or infinite.
 */
export function sample(logits: Float32Array, filters: Filters, uniform: number): number {
  const best = argmax(logits)
  if (filters.temperature === 0) return best
  const weights = new Float64Array(logits.length)
  let kept = new Uint32Array(logits.length)
  for (let id = 0; id < logits.length; id++) {
    weights[id] = Math.exp((logits[id] - logits[best]) / filters.temperature)
    kept[id] = id
  }
  if (filters.topK > 0 && filters.topK < kept.length) {
    kept = fewestReaching(kept, logits, () => 1, filters.topK)
  }
  if (filters.topP < 1) {
    const target = filters.topP * sumOf(kept, weights)
    kept = fewestReaching(kept, logits, (id) => weights[id], target)
  }
  if (filters.minP > 0) kept = kept.filter((id) => weights[id] >= filters.minP || id === best)
  return draw(kept, weights, uniform)
}

/** The id of the greatest logit, the lowest such id. Throws if a logit is NaN or infinite. */
export function argmax(logits: Float32Array): number {
  let best = 0
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]
    if (!Number.isFinite(logit)) throw new Error(`logit of token ${id} is ${logit}`)
    if (logit > logits[best]) best = id
  }
  return best
}

/**
 * Natural logarithm of the sum of exp(logit), summed in float64: logit minus this is the token's
 * log-probability under the unfiltered distribution. Throws if a logit is NaN or infinite.
 */
export function logSumExp(logits: Float32Array): number {
  const max = logits[argmax(logits)]
  let sum = 0
  for (let id = 0; id < logits.length; id++) sum += Math.exp(logits[id] - max)
  return max + Math.log(sum)
}

/**
 * Log-probability of token `id` and the `count` best-ranked tokens with theirs, best first, all of
 * the unfiltered distribution. Throws if a logit is NaN or infinite.
 */
export function tokenLogprobs(
  logits: Float32Array,
  id: number,
  count: number,
): TokenLogprob & { top: TokenLogprob[] } {
  const norm = logSumExp(logits)
  const top = bestRanked(logits, count).map((each) => ({ id: each, logprob: logits[each] - norm }))
  return { id, logprob: logits[id] - norm, top }
}

/** The `count` best-ranked ids, best first; meant for short lists, such as 20. */
export function bestRanked(logits: Float32Array, count: number): number[] {
  const best: number[] = []
  for (let id = 0; id < logits.length; id++) {
    // Ids rise, so a token moves up only past strictly smaller logits.
    if (best.length === count && !(logits[id] > logits[best[count - 1]])) continue
    let place = best.length
    while (place > 0 && logits[best[place - 1]] < logits[id]) place--
    best.splice(place, 0, id)
    if (best.length > count) best.pop()
  }
  return best
}

/**
 * The fewest best-ranked of `ids` whose weights add up to `target`, at least one; all of them if
 * rounding keeps the sum below it. Returns them in rising order and leaves `ids` reordered.
 *
 * A quickselect that goes by weight: it sorts only around the border, in linear time on average.
 */
function fewestReaching(
  ids: Uint32Array<ArrayBuffer>,
  logits: Float32Array,
  weightOf: (id: number) => number,
  target: number,
): Uint32Array<ArrayBuffer> {
  // ids[0, low) rank before all others and weigh `reached`, less than the target; the border lies
  // in ids[low, high].
  let low = 0
  let high = ids.length
  let reached = 0
  while (low < high) {
    const pivot = partition(ids, logits, low, high)
    let sum = reached
    for (let index = low; index < pivot; index++) sum += weightOf(ids[index])
    if (sum >= target) {
      high = pivot
      continue
    }
    reached = sum + weightOf(ids[pivot])
    low = pivot + 1
    if (reached >= target) high = low
  }
  return ids.subarray(0, Math.max(high, 1)).sort()
}

/** Puts one of ids[low, high) where ranking would, better ones before it; returns its place. */
function partition(ids: Uint32Array, logits: Float32Array, low: number, high: number): number {
  const last = high - 1
  swap(ids, medianPlace(ids, logits, low, (low + last) >> 1, last), last)
  const pivot = ids[last]
  let place = low
  for (let index = low; index < last; index++) {
    if (ranksBefore(logits, ids[index], pivot)) swap(ids, index, place++)
  }
  swap(ids, place, last)
  return place
}

/** Which of three places holds the token of middle rank. */
function medianPlace(
  ids: Uint32Array,
  logits: Float32Array,
  first: number,
  second: number,
  third: number,
): number {
  const before = (left: number, right: number) => ranksBefore(logits, ids[left], ids[right])
  const [low, high] = before(first, second) ? [first, second] : [second, first]
  if (before(third, low)) return low
  return before(third, high) ? third : high
}

function ranksBefore(logits: Float32Array, left: number, right: number): boolean {
  return logits[left] > logits[right] || (logits[left] === logits[right] && left < right)
}

function swap(ids: Uint32Array, left: number, right: number): void {
  const id = ids[left]
  ids[left] = ids[right]
  ids[right] = id
}

function sumOf(ids: Uint32Array, weights: Float64Array): number {
  let sum = 0
  for (let index = 0; index < ids.length; index++) sum += weights[ids[index]]
  return sum
}

/** Step 5 of `sample`. Tokens whose weight underflowed to 0 are never drawn. */
function draw(ids: Uint32Array, weights: Float64Array, uniform: number): number {
  const target = uniform * sumOf(ids, weights)
  let sum = 0
  for (let index = 0; index < ids.length; index++) {
    sum += weights[ids[index]]
    if (sum > target) return ids[index]
  }
  throw new Error(`uniform is ${uniform}, which is not in [0, 1)`)
}

// The samples of a whole reply: how they grow, and which of them `best_of` keeps.

import type { FinishReason, Output, OutputToken } from '../engine/request.ts'
import { invariant } from '../errors.ts'

/** One sample as far as it is known. */
export class Sample {
  text = ''
  finishReason: FinishReason | undefined
  readonly #tokens: OutputToken[] = []

  add({ text, tokens, finish }: Output): void {
    this.text += text
    this.#tokens.push(...tokens)
    this.finishReason = finish?.reason
  }

  /** In nats per token, end-of-sequence token included; a sample without tokens is the worst. */
  get meanLogprob(): number {
    if (this.#tokens.length === 0) return -Infinity
    const total = this.#tokens.reduce((sum, { logprob }) => {
      invariant(logprob !== undefined, 'a token of a ranked sample has no log-probability')
      return sum + logprob
    }, 0)
    return total / this.#tokens.length
  }
}

/**
 * Of each prompt's `bestOf` samples, which lie side by side, the `n` of highest mean
 * log-probability, best first; of equal ones the earlier. All in their own order if n is bestOf.
 */
export function bestSamples(samples: readonly Sample[], n: number, bestOf: number): Sample[] {
  if (n === bestOf) return [...samples]
  const best: Sample[] = []
  for (let first = 0; first < samples.length; first += bestOf) {
    const ranked = samples
      .slice(first, first + bestOf)
      .map((sample) => ({ sample, mean: sample.meanLogprob }))
      .sort((a, b) => (a.mean === b.mean ? 0 : b.mean - a.mean))
    best.push(...ranked.slice(0, n).map(({ sample }) => sample))
  }
  return best
}

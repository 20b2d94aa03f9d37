// The samples of a request: how they grow, what of them may be sent when, which `best_of` keeps.

import type { Output, OutputToken, PromptLogprob } from '../../engine/request.ts'
import { invariant } from '../../errors.ts'

/** A part of a generation, or all of it. */
export interface Piece {
  text: string
  /** The tokens of the text, and those that ended it. */
  tokens: readonly OutputToken[]
  finish?: Output['finish']
}

/** One sample as far as it is known. */
export class Sample implements Piece {
  text = ''
  readonly tokens: OutputToken[] = []
  finish: Output['finish']
  promptLogprobs: PromptLogprob[] | undefined

  add({ text, tokens, finish, promptLogprobs }: Output): void {
    this.text += text
    this.tokens.push(...tokens)
    this.finish = finish
    this.promptLogprobs ??= promptLogprobs
  }

  /** In nats per token, end-of-sequence token included; a sample without tokens is the worst. */
  get meanLogprob(): number {
    if (this.tokens.length === 0) return -Infinity
    const total = this.tokens.reduce((sum, { logprob }) => {
      invariant(logprob !== undefined, 'a token of a ranked sample has no log-probability')
      return sum + logprob
    }, 0)
    return total / this.tokens.length
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

/** What a stream may send of one sample. Tokens wait for the text that they are part of. */
export class PendingPiece {
  #tokens: OutputToken[] = []

  /** Text with its tokens; undefined as long as there is none and the generation goes on. */
  add({ text, tokens, finish }: Output): Piece | undefined {
    this.#tokens.push(...tokens)
    if (text === '' && finish === undefined) return undefined
    const piece = { text, tokens: this.#tokens, finish }
    this.#tokens = []
    return piece
  }
}

/** Null for an end-of-sequence token: that is how every text ends. */
export function stopReason(
  { finish }: Piece,
  stopTokenIds: readonly number[],
): string | number | null {
  const stop = finish?.stop
  if (typeof stop === 'number') return stopTokenIds.includes(stop) ? stop : null
  return stop ?? null
}

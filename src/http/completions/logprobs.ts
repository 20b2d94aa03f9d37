// The `logprobs` of completions: four lists side by side, one entry a token.

import type { OutputToken } from '../../engine/request.ts'
import { bounded } from '../generation/logprobs.ts'

export interface LegacyLogprobs {
  tokens: string[]
  /** Null for the first token of an echoed prompt, which follows nothing. */
  token_logprobs: (number | null)[]
  /** Most likely tokens by their text, best first but for texts that are numbers, and the token itself. */
  top_logprobs: (Record<string, number> | null)[]
  /** Code points of the choice's text before each token. */
  text_offset: number[]
}

/**
 * @param count alternatives to list beside each token
 * @param name of a token
 * @param start code points before the text that the offsets count from
 */
export function legacyLogprobs(
  tokens: readonly OutputToken[],
  count: number,
  name: (id: number) => string,
  start = 0,
): LegacyLogprobs {
  return {
    tokens: tokens.map(({ id }) => name(id)),
    token_logprobs: tokens.map(({ logprob }) => (logprob === undefined ? null : bounded(logprob))),
    top_logprobs: tokens.map((token) => alternatives(token, count, name)),
    text_offset: tokens.map(({ offset }) => start + offset),
  }
}

/** The lists of two texts, one behind the other. */
export function joinLogprobs(first: LegacyLogprobs, second: LegacyLogprobs): LegacyLogprobs {
  return {
    tokens: first.tokens.concat(second.tokens),
    token_logprobs: first.token_logprobs.concat(second.token_logprobs),
    top_logprobs: first.top_logprobs.concat(second.top_logprobs),
    text_offset: first.text_offset.concat(second.text_offset),
  }
}

function alternatives(
  { id, logprob, top = [] }: OutputToken,
  count: number,
  name: (id: number) => string,
): Record<string, number> | null {
  if (logprob === undefined) return null
  const listed = new Map<string, number>()
  // Tokens of one text share an entry, which is the best one's.
  for (const each of [...top.slice(0, count), { id, logprob }]) {
    const text = name(each.id)
    if (!listed.has(text)) listed.set(text, bounded(each.logprob))
  }
  return Object.fromEntries(listed)
}

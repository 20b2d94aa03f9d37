// The `logprobs` of completions: four lists side by side, one entry a token.

import type { OutputToken, PromptLogprob } from '../../engine/request.ts'
import { codePoints } from '../generation/code-points.ts'
import { bounded } from '../generation/prompt-logprobs.ts'

export interface LegacyLogprobs {
  tokens: string[]
  /** Null for the first token of an echoed prompt, which follows nothing. */
  token_logprobs: (number | null)[]
  /** Most likely tokens by their text, best first, and the token itself. */
  top_logprobs: (Record<string, number> | null)[]
  /** Code points of the choice's text before each token. */
  text_offset: number[]
}

/**
 * @param count alternatives to list beside each token
 * @param name of a token
 */
export function legacyLogprobs(
  tokens: readonly OutputToken[],
  count: number,
  name: (id: number) => string,
): LegacyLogprobs {
  return {
    tokens: tokens.map(({ id }) => name(id)),
    token_logprobs: tokens.map(({ logprob }) => (logprob === undefined ? null : bounded(logprob))),
    top_logprobs: tokens.map((token) => alternatives(token, count, name)),
    text_offset: tokens.map(({ offset }) => offset),
  }
}

/** The tokens of an echoed prompt with their scores, placed in its text. */
export function scoredPrompt(
  ids: readonly number[],
  pieces: readonly string[],
  scores: readonly PromptLogprob[],
): OutputToken[] {
  let offset = 0
  return ids.map((id, index) => {
    const token = { id, offset, logprob: scores[index]?.logprob, top: scores[index]?.top }
    offset += codePoints(pieces[index])
    return token
  })
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

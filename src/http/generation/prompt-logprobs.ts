// `prompt_logprobs` as vLLM writes it: for each prompt token what else could have stood there.

import type { PromptLogprob } from '../../engine/request.ts'
import type { PromptTokenizer } from '../context.ts'

/** Least log-probability that is sent, as at OpenAI: JSON has no infinity. */
const FLOOR = -9999

export interface PromptAlternative {
  logprob: number
  /** 1 is the most likely; null for a prompt token that is not among the alternatives. */
  rank: number | null
  decoded_token: string
}

/**
 * One entry a prompt token: alternatives by token id, the token of the prompt among them. The first
 * token has none.
 */
export function promptAlternatives(
  scores: readonly PromptLogprob[],
  count: number,
  tokenizer: Pick<PromptTokenizer, 'display'>,
): (Record<string, PromptAlternative> | null)[] {
  return scores.map((score) => {
    if (score === undefined) return null
    const top = score.top.slice(0, count)
    const rank = score.top.findIndex(({ id }) => id === score.id)
    const entries = top.map(({ id, logprob }, index) => ({ id, logprob, rank: index + 1 }))
    if (!top.some(({ id }) => id === score.id)) {
      entries.push({ id: score.id, logprob: score.logprob, rank: rank + 1 })
    }
    return Object.fromEntries(
      entries.map(({ id, logprob, rank }) => [
        id,
        { logprob: bounded(logprob), rank: rank || null, decoded_token: tokenizer.display(id) },
      ]),
    )
  })
}

/** A log-probability as it may be sent. */
export function bounded(logprob: number): number {
  return Math.max(FLOOR, logprob)
}

/** How tokens are named in log-probabilities: by their text or, if asked for, as `token_id:5`. */
export function tokenNames(
  tokenizer: Pick<PromptTokenizer, 'display'>,
  asIds: boolean,
): (id: number) => string {
  return asIds ? (id) => `token_id:${id}` : (id) => tokenizer.display(id)
}

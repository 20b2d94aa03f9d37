// `prompt_logprobs` as vLLM writes it: for each prompt token what else could have stood there.

import type { PromptLogprob } from '../../engine/request.ts'
import type { PromptTokenizer } from '../context.ts'
import { bounded } from './logprobs.ts'

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
    const isListed = top.some(({ id }) => id === score.id)
    const entries = [...top, ...(isListed ? [] : [score])].map(({ id, logprob }, index) => {
      const rank = index < top.length ? index + 1 : null
      return [id, { logprob: bounded(logprob), rank, decoded_token: tokenizer.display(id) }]
    })
    return Object.fromEntries(entries)
  })
}

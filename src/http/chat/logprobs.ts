// The `logprobs` of chats: one entry a token, with what else could have stood there.

import type { OutputToken, TokenLogprob } from '../../engine/request.ts'
import type { PromptTokenizer } from '../context.ts'
import { bounded } from '../generation/logprobs.ts'
import type { Reply } from './replies.ts'

interface ChatAlternative {
  token: string
  logprob: number
  /** Of the token's text in UTF-8. */
  bytes: number[]
}

export interface ChatLogprobs {
  content: (ChatAlternative & { top_logprobs: ChatAlternative[] })[]
  refusal: null
}

/**
 * @param count alternatives to list beside each token
 * @param name of a token
 */
export function chatLogprobs(
  tokens: readonly OutputToken[],
  count: number,
  tokenizer: Pick<PromptTokenizer, 'bytes'>,
  name: (id: number) => string,
): ChatLogprobs {
  const describe = ({ id, logprob }: TokenLogprob): ChatAlternative => ({
    token: name(id),
    logprob: bounded(logprob),
    bytes: [...tokenizer.bytes(id)],
  })
  const content = tokens.flatMap(({ id, logprob, top = [] }) => {
    if (logprob === undefined) return []
    return { ...describe({ id, logprob }), top_logprobs: top.slice(0, count).map(describe) }
  })
  return { content, refusal: null }
}

/** The tokens that a text is made of: not those that ended it, if they are no part of it. */
export function tokensOfText(reply: Reply, includesStop: boolean): readonly OutputToken[] {
  const { tokens, finish, end } = reply
  if (includesStop || finish?.stop === undefined) return tokens
  if (typeof finish.stop === 'string') return tokens.filter(({ offset }) => offset < end)
  return tokens.at(-1)?.id === finish.stop ? tokens.slice(0, -1) : tokens
}

// `truncation: auto`: a conversation that is too long loses its oldest turns.

import { ApiError } from '../../errors.ts'
import type { ChatMessage } from '../chat/messages.ts'
import type { PromptTokens } from '../generation/requests.ts'

/** Makes the prompt of turns, with or without the positions of their breakpoints. */
export type EncodeTurns = (turns: readonly ChatMessage[], keepsBreakpoints: boolean) => PromptTokens

export interface Room {
  /** Most tokens of prompt and answer. */
  maxModelLen: number
  /** Most tokens of the answer, if the client says so. */
  maxTokens: number | undefined
}

/**
 * The prompt of as many of the latest turns as leave room for an answer, at most half of it all. What
 * stays begins with a turn of the user, so that no result of a call loses the call. If that is still
 * too long, or refused by the template, the last such turn is made the prompt all the same.
 * Throws ApiError 400 if the template refuses the whole or that.
 */
export function fit(
  messages: readonly ChatMessage[],
  encode: EncodeTurns,
  { maxModelLen, maxTokens = 1 }: Room,
): PromptTokens {
  const room = maxModelLen - Math.min(maxTokens, Math.floor(maxModelLen / 2))
  const whole = encode(messages, true)
  const starts = messages.flatMap(({ role }, index) => (role === 'user' && index > 0 ? index : []))
  if (whole.tokens.length <= room || starts.length === 0) return whole

  const fits = (start: number) => {
    try {
      return encode(messages.slice(start), false).tokens.length <= room
    } catch (error) {
      // The template does not take a conversation that begins here.
      if (error instanceof ApiError) return false
      throw error
    }
  }
  // Rendering is not for free: the first start that fits is found by halving.
  let [first, last] = [0, starts.length - 1]
  while (first < last) {
    const middle = Math.floor((first + last) / 2)
    if (fits(starts[middle])) last = middle
    else first = middle + 1
  }
  return encode(messages.slice(starts[first]), true)
}

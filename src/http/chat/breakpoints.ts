// Cache breakpoints: places in the contents of messages become positions in the tokens of a prompt.

import { commonPrefix } from '../../common-prefix.ts'
import type { ChatTemplate, Conversation, PromptTokenizer } from '../context.ts'
import type { Place } from './messages.ts'

/** Most prompt positions that one request may have kept; of more the latest, as at OpenAI. */
const MAX_BREAKPOINTS = 4

/** A conversation, the text that its template makes, and the tokens of that. */
export interface RenderedPrompt {
  conversation: Conversation
  template: ChatTemplate
  text: string
  tokens: readonly number[]
  /** Whether the tokenizer put something around the text. */
  addSpecialTokens: boolean
}

/**
 * How many tokens end within the text up to each place. A place that the template does not show has
 * no position; a token that crosses one comes after it.
 */
export function breakpointPositions(
  places: readonly Place[],
  { conversation, template, text, tokens, addSpecialTokens }: RenderedPrompt,
  tokenizer: PromptTokenizer,
): number[] {
  if (places.length === 0) return []
  const whole = conversation.continueFinalMessage ? undefined : text
  const starts = places
    .slice(-MAX_BREAKPOINTS)
    .map(({ message, offset }) => template.renderUpTo(conversation, message, offset, whole))
    .filter((start) => start !== undefined)
  const ends = addSpecialTokens ? undefined : tokenEnds(text, tokens, tokenizer)
  return [...new Set(starts)].map((start) =>
    ends
      ? countUpTo(ends, start.length)
      : commonPrefix(tokenizer.encode(start, { addSpecialTokens }), tokens),
  )
}

/**
 * Where each token ends in the text, in UTF-16 units; those of one character end together. Undefined
 * if the tokens do not spell the text but for spaces that the tokenizer put in: encoding is not
 * for free, and this spares encoding beginnings once more.
 */
function tokenEnds(
  text: string,
  tokens: readonly number[],
  tokenizer: PromptTokenizer,
): number[] | undefined {
  const ends: number[] = []
  let end = 0
  for (const [index, piece] of tokenizer.pieces(tokens, { skipSpecialTokens: false }).entries()) {
    // Part of a character, which is the piece of its last token.
    if (piece === '') continue
    const isSpelled = text.startsWith(piece, end)
    const spelled = isSpelled || !piece.startsWith(' ') ? piece : piece.slice(1)
    if (!isSpelled && !text.startsWith(spelled, end)) return undefined
    end += spelled.length
    while (ends.length <= index) ends.push(end)
  }
  return end === text.length && ends.length === tokens.length ? ends : undefined
}

/** How many of the tokens end at a place or before it. */
function countUpTo(ends: readonly number[], place: number): number {
  const beyond = ends.findIndex((end) => end > place)
  return beyond < 0 ? ends.length : beyond
}

// `truncate_prompt_tokens`: a prompt that is too long loses its beginning or its end.

import type { ServerContext } from '../context.ts'
import type { GenerationFields } from '../fields/generation.ts'

/** What is kept of prompts. */
export interface Truncation {
  /** Most tokens; undefined: all. */
  length: number | undefined
  /** Where tokens are dropped. */
  side: 'left' | 'right'
}

/** @param maxTokens that are to follow the prompt; -1 leaves room for them */
export function truncationOf(
  body: Pick<GenerationFields, 'truncate_prompt_tokens' | 'truncation_side'>,
  maxTokens: number,
  { maxModelLen }: ServerContext['model'],
): Truncation {
  const { truncate_prompt_tokens: asked, truncation_side: side } = body
  if (asked !== -1) return { length: asked, side }
  return { length: maxModelLen && Math.max(1, maxModelLen - maxTokens), side }
}

/**
 * Token ids within a length. The first `fixed` ids, which the tokenizer put before the text, stay
 * as far as there is room.
 */
export function truncate(tokens: readonly number[], truncation: Truncation, fixed = 0): number[] {
  const { length = tokens.length, side } = truncation
  if (tokens.length <= length || side === 'right') return tokens.slice(0, length)
  const kept = Math.min(fixed, length)
  return [...tokens.slice(0, kept), ...tokens.slice(tokens.length - (length - kept))]
}

// The fields of a completion request and what they must be, alone and beside each other.

import { z } from 'zod'
import { ApiError } from '../../errors.ts'
import { badField } from '../fields/errors.ts'
import {
  checkTogether,
  generationFields,
  MAX_N,
  MAX_TOP_LOGPROBS,
  type Parsed,
  parseFields,
  tokenCount,
} from '../fields/generation.ts'
import { truth, wholeNumberFrom } from '../fields/kinds.ts'

/** Most prompt positions that one request may have kept, as at OpenAI. */
const MAX_BREAKPOINTS = 4

const breakpoints = `a prompt position in tokens or a list of at most ${MAX_BREAKPOINTS}`

/** Body of POST /v1/completions, with nulls removed; the prompt is checked by `prompts.ts`. */
export const completionBody = z.looseObject({
  ...generationFields,
  prompt: z.unknown().optional(),
  // 0 reads the prompt and answers with no text.
  max_tokens: tokenCount.default(16),
  best_of: wholeNumberFrom(1, MAX_N).optional(),
  echo: truth.default(false),
  logprobs: wholeNumberFrom(0, MAX_TOP_LOGPROBS).optional(),
  add_special_tokens: truth.default(true),
  // Counts every token, a beginning-of-sequence token too; holds for each prompt of the request.
  prompt_cache_breakpoint: z
    .preprocess(
      (value) => (typeof value === 'number' ? [value] : value),
      z
        .array(wholeNumberFrom(1, 2 ** 31 - 1, "from 1 to the prompt's length"), breakpoints)
        .max(MAX_BREAKPOINTS, breakpoints),
    )
    .default([]),
})

/** `best_of` is n if the client left it out. */
export type CompletionBody = z.output<typeof completionBody> & { best_of: number }

/**
 * Checks all that can be checked without a model: neither prompt nor token ids.
 * Throws ApiError 400 with the field at fault as `param`.
 */
export function parseCompletionBody(raw: Record<string, unknown>): Parsed<CompletionBody> {
  const { body: parsed, ignored } = parseFields(completionBody, raw)
  const body = { ...parsed, best_of: parsed.best_of ?? parsed.n }
  checkTogether(body, body.max_tokens)
  checkBestOf(body)
  return { body, ignored }
}

function checkBestOf({ n, best_of: bestOf, stream }: CompletionBody): void {
  if (bestOf < n) {
    throw badField('best_of', `a whole number from n, which is ${n}, to ${MAX_N}`, bestOf)
  }
  if (bestOf > n && stream) {
    const message =
      `best_of is ${bestOf} and n is ${n}: with stream: true they must be equal, ` +
      'because the best samples are known only at the end'
    throw new ApiError(400, message, { param: 'best_of' })
  }
}

// The fields of a completion request and what they must be, alone and beside each other.

import { z } from 'zod'
import { ApiError } from '../errors.ts'
import { badField, invalidFields } from './field-errors.ts'
import { text, truth, wholeNumberFrom } from './fields.ts'
import { samplingFields } from './sampling-fields.ts'
import { isUnsupported, refuseUnsupported } from './unsupported-fields.ts'

/** Most choices and most samples per prompt. */
const MAX_N = 128
/** Most stop strings, and characters of each: the engine keeps that much text back. */
const MAX_STOPS = 4
const MAX_STOP_LENGTH = 1024
/** Most prompt positions that one request may have kept, as at OpenAI. */
const MAX_BREAKPOINTS = 4

const stops = `a string or a list of at most ${MAX_STOPS} strings`
const breakpoints = `a prompt position in tokens or a list of at most ${MAX_BREAKPOINTS}`

/** Body of POST /v1/completions, with nulls removed; the prompt is checked by `prompts.ts`. */
const completionBody = z.looseObject({
  model: text(1024).optional(),
  prompt: z.unknown().optional(),
  // 0 reads the prompt and answers with no text.
  max_tokens: wholeNumberFrom(0, 2 ** 31 - 1).default(16),
  ...samplingFields,
  n: wholeNumberFrom(1, MAX_N).default(1),
  best_of: wholeNumberFrom(1, MAX_N).optional(),
  stop: z
    .preprocess(
      (value) => (typeof value === 'string' ? [value] : value),
      z.array(text(MAX_STOP_LENGTH), stops).max(MAX_STOPS, stops),
    )
    .default([]),
  stream: truth.default(false),
  stream_options: z.looseObject({ include_usage: truth.nullish() }, 'an object').optional(),
  ignore_eos: truth.default(false),
  // Lower goes first, as in vLLM and SGLang.
  priority: wholeNumberFrom(-(2 ** 31), 2 ** 31 - 1, 'of 32 bits').default(0),
  cache_salt: text(128).optional(),
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

/** A checked body and the names of the fields that were ignored. */
export interface ParsedBody {
  body: CompletionBody
  ignored: string[]
}

/**
 * Checks all that can be checked without a model: neither prompt nor token ids.
 * Throws ApiError 400 with the field at fault as `param`.
 */
export function parseCompletionBody(raw: Record<string, unknown>): ParsedBody {
  // Clients send null for fields they leave open.
  const given = Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null))
  for (const [field, value] of Object.entries(given)) refuseUnsupported(field, value)
  const parsed = completionBody.safeParse(given)
  if (!parsed.success) throw invalidFields(parsed.error, given)
  const body = { ...parsed.data, best_of: parsed.data.best_of ?? parsed.data.n }
  checkTogether(body)
  const ignored = Object.keys(given).filter(
    (field) => !Object.hasOwn(completionBody.shape, field) && !isUnsupported(field),
  )
  return { body, ignored }
}

function checkTogether({ n, best_of: bestOf, stream, stream_options }: CompletionBody): void {
  if (stream_options !== undefined && !stream) {
    throw new ApiError(400, 'stream_options is only allowed with stream: true', {
      param: 'stream_options',
    })
  }
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

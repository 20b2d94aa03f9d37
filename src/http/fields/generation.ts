// The fields of every route that generates: when generation ends, what is reported, how it is sent.

import { z } from 'zod'
import { ApiError } from '../../errors.ts'
import { badField, invalidFields } from './errors.ts'
import { text, truth, wholeNumberFrom } from './kinds.ts'
import { samplingFields, tokenIds } from './sampling.ts'
import { structuredFields } from './structured.ts'
import { isUnsupported, refuseUnsupported } from './unsupported.ts'

/** Most choices and most samples per prompt. */
export const MAX_N = 128
/** Alternatives that the sampler reports beside a token. */
export const MAX_TOP_LOGPROBS = 20
/** Most stop strings, and characters of each: the engine keeps that much text back. */
const MAX_STOPS = 4
const MAX_STOP_LENGTH = 1024
const MAX_STOP_TOKENS = 128
const MAX_BAD_WORDS = 128
const MAX_BAD_WORD_LENGTH = 128
const MAX_TOKENS = 2 ** 31 - 1
/** Most fields of a body, several times what all servers know together. */
const MAX_FIELDS = 512

const stops = `a string or a list of at most ${MAX_STOPS} strings`
const badWords = `a list of at most ${MAX_BAD_WORDS} strings`
const requestId = '1 to 128 letters, digits, dots, dashes and underscores'
const truncation = '-1 or a whole number of at least 1'

/** A number of tokens to generate; 0 only reads the prompt. */
export const tokenCount = wholeNumberFrom(0, MAX_TOKENS)

/** Token ids are checked against the vocabulary by `checkTokenIds`. */
export const generationFields = {
  model: text(1024).optional(),
  ...samplingFields,
  ...structuredFields,
  n: wholeNumberFrom(1, MAX_N).default(1),
  stop: z
    .preprocess(
      (value) => (typeof value === 'string' ? [value] : value),
      z.array(text(MAX_STOP_LENGTH), stops).max(MAX_STOPS, stops),
    )
    .default([]),
  stop_token_ids: tokenIds(0, MAX_STOP_TOKENS).default([]),
  include_stop_str_in_output: truth.default(false),
  ignore_eos: truth.default(false),
  min_tokens: tokenCount.default(0),
  bad_words: z.array(text(MAX_BAD_WORD_LENGTH), badWords).max(MAX_BAD_WORDS, badWords).default([]),
  skip_special_tokens: truth.default(true),
  prompt_logprobs: wholeNumberFrom(0, MAX_TOP_LOGPROBS).optional(),
  return_token_ids: truth.default(false),
  return_tokens_as_token_ids: truth.default(false),
  truncate_prompt_tokens: z
    .number(truncation)
    .refine((count) => Number.isInteger(count) && (count === -1 || count >= 1), truncation)
    .optional(),
  truncation_side: z.enum(['left', 'right'], 'left or right').default('left'),
  stream: truth.default(false),
  stream_options: z
    .looseObject(
      { include_usage: truth.nullish(), continuous_usage_stats: truth.nullish() },
      'an object',
    )
    .optional(),
  // Lower goes first, as in vLLM and SGLang.
  priority: wholeNumberFrom(-(2 ** 31), 2 ** 31 - 1, 'of 32 bits').default(0),
  cache_salt: text(128).optional(),
  request_id: z
    .string(requestId)
    .regex(/^[\w.-]{1,128}$/, requestId)
    .optional(),
}

export type GenerationFields = z.output<z.ZodObject<typeof generationFields>>

/** A checked body and the names of the fields that were ignored. */
export interface Parsed<Body> {
  body: Body
  ignored: string[]
}

/**
 * Checks a body against the schema of its route, which knows what it supports beyond the common
 * fields. Null is as good as nothing, because clients send it for fields that they leave open.
 * Throws ApiError 400 with the field at fault as `param`.
 */
export function parseFields<Schema extends z.ZodObject>(
  schema: Schema,
  raw: Record<string, unknown>,
): Parsed<z.output<Schema>> {
  const count = Object.keys(raw).length
  if (count > MAX_FIELDS) {
    throw new ApiError(
      400,
      `the request body has ${count} fields; at most ${MAX_FIELDS} are allowed`,
    )
  }
  const given = Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null))
  const known = (field: string) => Object.hasOwn(schema.shape, field)
  for (const [field, value] of Object.entries(given)) {
    if (!known(field)) refuseUnsupported(field, value)
  }
  const parsed = schema.safeParse(given)
  if (!parsed.success) throw invalidFields(parsed.error, given)
  const ignored = Object.keys(given).filter((field) => !known(field) && !isUnsupported(field))
  return { body: parsed.data, ignored }
}

/** Checks fields beside each other; `maxTokens` is undefined if the client left it open. */
export function checkTogether(body: GenerationFields, maxTokens: number | undefined): void {
  const { stream, stream_options: streamOptions, min_tokens: minTokens } = body
  if (streamOptions !== undefined && !stream) {
    throw new ApiError(400, 'stream_options is only allowed with stream: true', {
      param: 'stream_options',
    })
  }
  if (maxTokens !== undefined && minTokens > maxTokens) {
    const expected = `a whole number from 0 to the most tokens to generate, which is ${maxTokens}`
    throw badField('min_tokens', expected, minTokens)
  }
  if (stream && body.prompt_logprobs !== undefined) {
    throw new ApiError(400, 'prompt_logprobs is not available with stream: true', {
      param: 'prompt_logprobs',
    })
  }
}

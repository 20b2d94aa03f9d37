// The fields of a completion request: which are honoured and in what range, which are refused
// because they would change the answer. All others are harmless and ignored.

import { z } from 'zod'
import { ApiError } from '../errors.ts'

/** Most choices per prompt. */
const MAX_N = 128
/** Most stop strings, and characters of each: the engine keeps that much text back. */
const MAX_STOPS = 4
const MAX_STOP_LENGTH = 1024

function numberFrom(min: number, max: number) {
  const expected = `a number from ${min} to ${max}`
  return z.number(expected).min(min, expected).max(max, expected)
}

function wholeNumberFrom(min: number, max: number, range = `from ${min} to ${max}`) {
  const expected = `a whole number ${range}`
  const number = z.number(expected).min(min, expected).max(max, expected)
  return number.refine(Number.isInteger, expected)
}

function text(maxLength: number) {
  const expected = `a string of 1 to ${maxLength} characters`
  return z.string(expected).min(1, expected).max(maxLength, expected)
}

const truth = z.boolean('true or false')
const stops = `a string or a list of at most ${MAX_STOPS} strings`
const topP = 'a number above 0 and at most 1'

/** Body of POST /v1/completions, with nulls removed; the prompt is checked by `prompts.ts`. */
const completionBody = z.looseObject({
  model: text(1024).optional(),
  prompt: z.unknown().optional(),
  // 0 reads the prompt and answers with no text.
  max_tokens: wholeNumberFrom(0, 2 ** 31 - 1).default(16),
  temperature: numberFrom(0, 2).optional(),
  top_p: z.number(topP).gt(0, topP).max(1, topP).optional(),
  top_k: wholeNumberFrom(-1, 2 ** 31 - 1).optional(),
  min_p: numberFrom(0, 1).optional(),
  n: wholeNumberFrom(1, MAX_N).default(1),
  best_of: wholeNumberFrom(1, MAX_N).optional(),
  seed: wholeNumberFrom(-(2 ** 63), 2 ** 63, 'of 64 bits').optional(),
  stop: z
    .preprocess(
      (value) => (typeof value === 'string' ? [value] : value),
      z.array(text(MAX_STOP_LENGTH), stops).max(MAX_STOPS, stops),
    )
    .default([]),
  stream: truth.default(false),
  stream_options: z.looseObject({ include_usage: truth.nullish() }, 'an object').optional(),
  ignore_eos: truth.default(false),
})

export type CompletionBody = z.output<typeof completionBody>

/**
 * Fields that change the answer and that we do not honour, with the value (if there is one) that
 * asks for nothing. Ignoring them would hand out wrong answers silently.
 */
const UNSUPPORTED: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['suffix', ''],
  ['echo', false],
  ['logprobs', undefined],
  ['top_logprobs', 0],
  ['prompt_logprobs', undefined],
  ['logprob_token_ids', []],
  ['return_token_ids', false],
  ['return_tokens_as_token_ids', false],
  ['logit_bias', {}],
  ['presence_penalty', 0],
  ['frequency_penalty', 0],
  ['repetition_penalty', 1],
  ['repeat_penalty', 1],
  ['length_penalty', 1],
  ['typical_p', 1],
  ['mirostat', 0],
  ['xtc_probability', 0],
  ['dry_multiplier', 0],
  ['use_beam_search', false],
  ['min_tokens', 0],
  ['stop_token_ids', []],
  ['stop_regex', undefined],
  ['include_stop_str_in_output', false],
  ['no_stop_trim', false],
  ['bad_words', []],
  ['allowed_token_ids', undefined],
  ['add_special_tokens', true],
  ['skip_special_tokens', true],
  ['truncate_prompt_tokens', undefined],
  ['response_format', { type: 'text' }],
  ['structured_outputs', undefined],
  ['guided_json', undefined],
  ['guided_regex', undefined],
  ['guided_choice', undefined],
  ['guided_grammar', undefined],
  ['json_schema', undefined],
  ['grammar', undefined],
  ['regex', undefined],
  ['ebnf', undefined],
  ['tools', []],
  ['tool_choice', 'none'],
  ['functions', []],
  ['function_call', 'none'],
  ['messages', undefined],
])

/** A checked body and the names of the fields that were ignored. */
export interface ParsedBody {
  body: CompletionBody
  ignored: string[]
}

/** Checks everything but the prompt; throws ApiError 400 with the field at fault as `param`. */
export function parseCompletionBody(raw: Record<string, unknown>): ParsedBody {
  // Clients send null for fields they leave open.
  const given = Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null))
  for (const [field, value] of Object.entries(given)) refuseUnsupported(field, value)
  const parsed = completionBody.safeParse(given)
  if (!parsed.success) throw invalidFields(parsed.error, given)
  const body = parsed.data
  if (body.stream_options !== undefined && !body.stream) {
    throw new ApiError(400, 'stream_options is only allowed with stream: true', {
      param: 'stream_options',
    })
  }
  if (body.best_of !== undefined && body.best_of !== body.n) {
    throw new ApiError(
      400,
      `best_of is not supported unless it equals n; leave it out or send ${body.n}`,
      {
        param: 'best_of',
        code: 'unsupported_parameter',
      },
    )
  }
  const ignored = Object.keys(given).filter(
    (field) => !Object.hasOwn(completionBody.shape, field) && !UNSUPPORTED.has(field),
  )
  return { body, ignored }
}

function refuseUnsupported(field: string, value: unknown): void {
  if (!UNSUPPORTED.has(field)) return
  const neutral = UNSUPPORTED.get(field)
  if (neutral !== undefined && Bun.deepEquals(value, neutral)) return
  const remedy = neutral === undefined ? '' : ` or send ${JSON.stringify(neutral)}`
  throw new ApiError(400, `${field} is not supported; leave it out${remedy}`, {
    param: field,
    code: 'unsupported_parameter',
  })
}

/** How many faults one message lists. */
const MAX_FAULTS = 3

function invalidFields(error: z.ZodError, given: Record<string, unknown>): ApiError {
  const faults = new Map<string, string>()
  for (const issue of error.issues) {
    const { path, value } = locate(given, issue.path)
    if (!faults.has(path))
      faults.set(path, `${path}: expected ${issue.message}, found ${show(value)}`)
  }
  const messages = [...faults.values()]
  const rest = messages.length - MAX_FAULTS
  const more = rest > 0 ? `; and ${rest} more` : ''
  const param = faults.keys().next().value
  return new ApiError(400, `${messages.slice(0, MAX_FAULTS).join('; ')}${more}`, { param })
}

/** Follows a path as far as the body goes: a lone stop string has no `stop.0`. */
function locate(given: unknown, path: readonly PropertyKey[]): { path: string; value: unknown } {
  let value = given
  let depth = 0
  while (depth < path.length && typeof value === 'object' && value !== null) {
    value = (value as Record<PropertyKey, unknown>)[path[depth++]]
  }
  return { path: path.slice(0, depth).join('.'), value }
}

/** A value for an error message, short whatever the client sent. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  if (typeof value !== 'string') return String(value)
  return value.length <= 40 ? JSON.stringify(value) : `${JSON.stringify(value.slice(0, 40))}…`
}

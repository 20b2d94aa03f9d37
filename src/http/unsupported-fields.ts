// Fields that other servers know and this one refuses. All that neither this file nor a schema
// names is harmless and ignored.

import { ApiError } from '../errors.ts'

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

/** Whether the field is refused, or would be with another value. */
export function isUnsupported(field: string): boolean {
  return UNSUPPORTED.has(field)
}

/** Throws ApiError 400 if the field asks for something that is not supported. */
export function refuseUnsupported(field: string, value: unknown): void {
  if (!UNSUPPORTED.has(field)) return
  const neutral = UNSUPPORTED.get(field)
  if (neutral !== undefined && Bun.deepEquals(value, neutral)) return
  const remedy = neutral === undefined ? '' : ` or send ${JSON.stringify(neutral)}`
  throw new ApiError(400, `${field} is not supported; leave it out${remedy}`, {
    param: field,
    code: 'unsupported_parameter',
  })
}

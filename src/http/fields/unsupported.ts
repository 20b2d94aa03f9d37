// Fields that other servers know, or other routes, and that a route refuses unless its schema has
// them. All that neither this file nor a schema names is harmless and ignored.

import { ApiError } from '../../errors.ts'

/**
 * Fields that change the answer and that we do not honour, with the value (if there is one) that
 * asks for nothing. Ignoring them would hand out wrong answers silently.
 */
const UNSUPPORTED: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['suffix', ''],
  ['top_logprobs', 0],
  ['logprob_token_ids', []],
  ['repeat_penalty', 1],
  ['length_penalty', 1],
  ['typical_p', 1],
  ['mirostat', 0],
  ['xtc_probability', 0],
  ['dry_multiplier', 0],
  ['use_beam_search', false],
  ['stop_regex', undefined],
  ['no_stop_trim', false],
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
  ['n', 1],
  ['max_tokens', undefined],
  ['max_completion_tokens', undefined],
  ['max_output_tokens', undefined],
  ['response_format', { type: 'text' }],
  ['prompt_logprobs', undefined],
  ['input', undefined],
  ['prompt', undefined],
  ['messages', undefined],
  ['echo', false],
  ['best_of', 1],
  ['modalities', ['text']],
  ['audio', undefined],
  ['web_search_options', undefined],
  ['chat_template', undefined],
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

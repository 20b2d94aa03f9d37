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
  ['echo', false],
  ['best_of', 1],
  ['modalities', ['text']],
  ['audio', undefined],
  ['web_search_options', undefined],
  ['chat_template', undefined],
  ['chat_template_kwargs', {}],
  ['continue_final_message', false],
  ['add_generation_prompt', true],
  ['add_special_tokens', undefined],
  ['truncate_prompt_tokens', undefined],
  ['truncation_side', undefined],
  ['logprobs', false],
  ['return_token_ids', false],
  ['return_tokens_as_token_ids', false],
  ['max_tool_calls', undefined],
  ['n_predict', undefined],
  ['max_new_tokens', undefined],
  ['min_length', 0],
  ['top_a', 0],
  ['tfs_z', 1],
  ['top_n_sigma', -1],
  ['dynatemp_range', 0],
  ['samplers', undefined],
  ['logits_processors', []],
  ['repetition_detection', undefined],
  ['t_max_predict_ms', undefined],
  ['lora', []],
])

/** Fields that say what to answer, by the route that has them. */
const INPUTS: ReadonlyMap<string, string> = new Map([
  ['prompt', '/v1/completions'],
  ['messages', '/v1/chat/completions'],
  ['input', '/v1/responses'],
])

/** Whether the field is refused, or would be with another value. */
export function isUnsupported(field: string): boolean {
  return UNSUPPORTED.has(field)
}

/** Throws ApiError 400 if the field asks for something that is not supported. */
export function refuseUnsupported(field: string, value: unknown): void {
  const route = INPUTS.get(field)
  if (route !== undefined) {
    throw new ApiError(400, `${field} is a field of ${route}, not of this route`, {
      param: field,
      code: 'unsupported_parameter',
    })
  }
  if (!UNSUPPORTED.has(field)) return
  const neutral = UNSUPPORTED.get(field)
  if (neutral !== undefined && Bun.deepEquals(value, neutral)) return
  const remedy = neutral === undefined ? '' : ` or send ${JSON.stringify(neutral)}`
  throw new ApiError(400, `${field} is not supported; leave it out${remedy}`, {
    param: field,
    code: 'unsupported_parameter',
  })
}

// What each field of a request body means, for people, and its type where zod cannot tell: checks
// in code say nothing to a program that reads a schema.

/** A JSON schema of the 2020-12 draft, which is that of OpenAPI 3.1. */
export type JsonSchema = Record<string, unknown>

export interface FieldNote {
  text: string
  /** The type of the field, from what zod made of it. */
  as?: (schema: JsonSchema) => JsonSchema
  /** The body is refused without it, by code that the schema does not show. */
  required?: true
}

/** A lone value stands for a list of one. */
const oneOrMany = (list: JsonSchema): JsonSchema => ({ anyOf: [list.items, list] })

const ids = { type: 'array', items: { type: 'integer', minimum: 0 } }
const strings = { type: 'array', items: { type: 'string' } }

const promptTypes = {
  anyOf: [{ type: 'string' }, strings, ids, { type: 'array', items: ids }],
}

/** A content is a string or a list of parts; the checks see a list of one part in a string. */
const withTextContent = (messages: JsonSchema): JsonSchema => {
  const { oneOf } = messages.items as { oneOf: { properties: JsonSchema }[] }
  const forms = oneOf.map(({ properties, ...message }) => ({
    ...message,
    properties: { ...properties, content: { anyOf: [{ type: 'string' }, properties.content] } },
  }))
  return { ...messages, items: { oneOf: forms } }
}

/** A word, or an object that names what may be called. */
const toolChoiceTypes = {
  anyOf: [{ type: 'string', enum: ['none', 'auto', 'required'] }, { type: 'object' }],
}

const nothing = { type: 'null' }

/**
 * By the name of the field, which means the same wherever it occurs but where a route says
 * otherwise; in the order in which they are shown.
 */
export const FIELD_NOTES: Record<string, FieldNote> = {
  model: { text: 'A name of the served model; GET /v1/models lists them.' },
  prompt: {
    text: 'What to continue: a text, a list of texts, token ids, or a list of lists of token ids.',
    as: () => promptTypes,
    required: true,
  },
  max_tokens: { text: 'Most tokens to generate; 0 only reads the prompt.' },
  temperature: {
    text: '0 takes the likeliest token; higher values vary more. Default: 1, or what the checkpoint recommends.',
  },
  top_p: { text: 'Draw from the likeliest tokens that together have this probability; 1 is off.' },
  top_k: { text: 'Draw from this many of the likeliest tokens; 0 and -1 are off.' },
  min_p: { text: 'Drop tokens less likely than this share of the likeliest; 0 is off.' },
  seed: { text: 'The same seed and request give the same text.' },
  repetition_penalty: {
    text: 'Above 1, tokens of the prompt and of the text so far become less likely.',
  },
  presence_penalty: { text: 'Taken off the logits of tokens that were generated.' },
  frequency_penalty: { text: 'The same, for each time that a token was generated.' },
  logit_bias: {
    text: 'Token ids with what is added to their logits; at most 1024.',
    as: () => ({
      type: 'object',
      maxProperties: 1024,
      propertyNames: { pattern: '^(0|[1-9]\\d*)$' },
      additionalProperties: { type: 'number', minimum: -100, maximum: 100 },
    }),
  },
  allowed_token_ids: { text: 'Nothing but these tokens is generated.' },
  response_format: {
    text: 'Keeps the answer to any JSON object (json_object) or to a JSON schema (json_schema).',
  },
  structured_outputs: {
    text: 'Keeps the answer to one of: a JSON schema (json), any JSON object (json_object: true), a regular expression (regex), one of some strings (choice), a grammar in EBNF (grammar).',
    as: (schema) => ({ ...schema, minProperties: 1 }),
  },
  n: { text: 'Answers to each prompt, which is read once for all of them.' },
  best_of: {
    text: 'Answers to generate for each prompt; the n with the highest mean log-probability are returned. Default: n.',
  },
  stop: {
    text: 'The text ends before the first of these strings.',
    as: oneOrMany,
  },
  stop_token_ids: { text: 'The text ends at any of these tokens.' },
  include_stop_str_in_output: { text: 'Keep the stop string in the text.' },
  ignore_eos: { text: 'Go on after an end-of-sequence token.' },
  min_tokens: { text: 'Least tokens to generate before the text may end.' },
  bad_words: { text: 'Strings that are not generated.' },
  skip_special_tokens: { text: 'Leave tokens such as </s> out of the text.' },
  echo: { text: 'Repeat the prompt in front of the text.' },
  logprobs: {
    text: 'Report the log-probabilities of tokens, and for each so many of the likeliest ones.',
  },
  prompt_logprobs: { text: 'The same for the tokens of the prompt, with so many alternatives.' },
  return_token_ids: { text: 'Report the ids of the tokens of prompt and text.' },
  return_tokens_as_token_ids: { text: 'Name tokens in log-probabilities `token_id:ID`.' },
  add_special_tokens: {
    text: 'Add the tokens that the model expects around a text, mostly one at its beginning.',
  },
  truncate_prompt_tokens: {
    text: 'Keep only so many tokens of a longer prompt; -1: as many as the model can take.',
    as: () => ({ anyOf: [{ const: -1 }, { type: 'integer', minimum: 1 }] }),
  },
  truncation_side: { text: 'Where a prompt that is too long is cut.' },
  stream: { text: 'Send the text as it is generated, as server-sent events.' },
  stream_options: {
    text: 'With stream: true. include_usage: a last chunk with the usage; continuous_usage_stats: each chunk has the usage so far.',
  },
  priority: { text: 'Lower goes first; equal ones in order of arrival.' },
  cache_salt: { text: 'Prefix states are shared among requests of one salt only.' },
  prompt_cache_breakpoint: {
    text: 'Positions in the prompt, in tokens, whose states are kept for later requests.',
    as: oneOrMany,
  },
  request_id: { text: 'Used in the id of the reply.' },
  content: { text: 'The text to tokenize, as llama-server names it.' },
  add_special: { text: 'The same as add_special_tokens, as llama-server names it.' },
  parse_special: { text: 'Special tokens that are spelled in the text are read as such.' },
  return_token_strs: { text: 'Report the text of each token.' },
  with_pieces: { text: 'Report tokens as objects with id and piece.' },
  tokens: { text: 'Token ids.' },
  messages: {
    text: 'The conversation: messages with role system, developer, user, assistant or tool, and content, a text or a list of parts with type text.',
    as: withTextContent,
  },
  max_completion_tokens: {
    text: 'Most tokens to generate; max_tokens is its older name. Default: what the model can take, or 2048 where it has no bound.',
  },
  top_logprobs: { text: 'Report so many of the likeliest tokens beside each, too.' },
  tools: { text: 'Functions that the model may call, if its chat template knows tools.' },
  tool_choice: {
    text: 'Whether the model may (auto), must (required) or must not (none) call functions, or which.',
    as: () => toolChoiceTypes,
  },
  parallel_tool_calls: { text: 'Whether one answer may have several calls.' },
  add_generation_prompt: {
    text: "Begin the assistant's turn. Default: true unless the last message is continued.",
  },
  continue_final_message: { text: "Go on with the last message, which is the assistant's." },
  chat_template_kwargs: { text: 'More variables for the chat template.' },
  prompt_cache_key: { text: 'Prefix states are shared among requests of one key only.' },
}

/** What fields mean to chats and nowhere else. */
export const CHAT_NOTES: Record<string, FieldNote> = {
  max_tokens: { text: 'The older name of max_completion_tokens.' },
  logprobs: { text: 'Report the log-probabilities of tokens.' },
  add_special_tokens: {
    text: 'Add the tokens that the model expects around a text; templates mostly write them.',
  },
}

/** What fields mean to responses and nowhere else. */
export const RESPONSES_NOTES: Record<string, FieldNote> = {
  input: {
    text: 'A text, or a list of messages, calls of functions and their outputs. May be left out with previous_response_id.',
  },
  instructions: { text: 'A system message in front; it is not kept for later responses.' },
  max_output_tokens: { text: 'Most tokens to generate.' },
  previous_response_id: { text: 'The response whose conversation goes on.' },
  store: { text: 'Keep the response, so that another one can go on from it.' },
  text: { text: 'format: text, json_object, or json_schema with a schema.' },
  include: { text: 'More to report: message.output_text.logprobs.' },
  truncation: { text: 'disabled refuses what is too long; auto drops its beginning.' },
  metadata: {
    text: 'Strings that come back with the response; at most 16.',
    as: () => ({ type: 'object', maxProperties: 16, additionalProperties: { type: 'string' } }),
  },
  background: { text: 'Not supported: responses are not run in the background.' },
  conversation: { text: 'Not supported: use previous_response_id.', as: () => nothing },
}

/** What fields mean to `/tokenize` and nowhere else. */
export const TOKENIZE_NOTES: Record<string, FieldNote> = {
  prompt: { text: 'The text to tokenize, as vLLM names it.' },
}

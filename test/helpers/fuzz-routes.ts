// What each POST route is fuzzed with: its schema, and values for the fields that decide what a
// body costs or that no schema describes.

import fc from 'fast-check'
import { chatBody } from '../../src/http/chat/schema.ts'
import { completionBody } from '../../src/http/completions/schema.ts'
import { responsesBody } from '../../src/http/responses/schema.ts'
import { detokenizeBody, tokenizeBody } from '../../src/http/system/tokenize.ts'
import type { FuzzRoute } from './fuzz-bodies.ts'
import { anyJson } from './json-schema-arbitrary.ts'

const words = fc.constantFrom(
  ...['Once upon a time', 'The king said', 'a', ' ', 'été 🧚', '<s>', '{"a": 1}', '\n'],
)
const prose = fc.oneof(words, fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }))
const tokenId = fc.oneof({ weight: 20, arbitrary: fc.nat(4095) }, fc.constantFrom(4096, 1e9))
const ids = fc.array(tokenId, { minLength: 1, maxLength: 6 })
const list = <T>(member: fc.Arbitrary<T>, maxLength: number) =>
  fc.array(member, { minLength: 1, maxLength })

const jsonSchema = fc.constantFrom(
  { type: 'boolean' },
  { type: 'object', properties: { a: { enum: [1, 2] } }, required: ['a'] },
  { type: 'array', items: { type: 'integer', minimum: 0, maximum: 9 }, maxItems: 3 },
  { $ref: '#/$defs/a', $defs: { a: { type: 'null' } } },
  { type: 'string', minLength: 3, maxLength: 1 },
  { type: 'nonsense' },
  {},
)
const responseFormat = fc.oneof(
  fc.constantFrom({ type: 'text' }, { type: 'json_object' }, { type: 'xml' }),
  jsonSchema.map((schema) => ({ type: 'json_schema', json_schema: { name: 'a', schema } })),
)
const structuredOutputs = fc.oneof(
  jsonSchema.map((json) => ({ json })),
  fc.constantFrom(
    ...[{ regex: '[a-c]{1,3}' }, { regex: '(' }, { choice: ['yes', 'no'] }, { choice: [] }],
    ...[{ grammar: 'root ::= "a" | "b"' }, { grammar: 'root ::= missing' }, {}],
    { regex: 'a', choice: ['a'] },
  ),
)

const model = fc.oneof(
  { weight: 8, arbitrary: fc.constant('tales') },
  fc.constantFrom('other', 'TALES'),
)
/** The fields that all generating routes share. */
const generation = {
  model,
  n: fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 1, max: 3 }) }, fc.constantFrom(0, 129)),
  stop: fc.oneof(words, list(prose, 5)),
  logit_bias: fc.dictionary(tokenId.map(String), fc.integer({ min: -101, max: 101 }), {
    maxKeys: 5,
  }),
  allowed_token_ids: ids,
  stop_token_ids: ids,
  bad_words: list(prose, 3),
  truncate_prompt_tokens: fc.integer({ min: -1, max: 12 }),
  response_format: responseFormat,
  structured_outputs: structuredOutputs,
  stream_options: fc.record({ include_usage: fc.boolean() }),
}
const tokenCount = fc.nat(5)

const schemas = fc.constantFrom({ type: 'object' }, { type: 'object', properties: {} }, 5, {})
const functionName = fc.constantFrom('one', 'two', 'bad name', '')
const call = fc.record({
  id: fc.constantFrom('call_1', ''),
  type: fc.constantFrom('function', 'custom'),
  function: fc.record({ name: functionName, arguments: fc.constantFrom('{}', '{"a":1}', '{') }),
})
const content = fc.oneof(
  { weight: 3, arbitrary: prose },
  list(
    prose.map((text) => ({ type: 'text', text })),
    3,
  ),
)
const oddContent = fc.oneof(
  content,
  fc.constantFrom(
    null,
    [],
    [{ type: 'text' }],
    [{ type: 'image_url', image_url: { url: 'data:,' } }],
  ),
)
const roles = fc.constantFrom('system', 'developer', 'user', 'assistant', 'tool', 'clown')
const speaker = fc.constantFrom('system', 'developer', 'user', 'user', 'assistant')
const message = fc.oneof(
  { weight: 8, arbitrary: fc.record({ role: speaker, content }) },
  fc.record({ role: fc.constant('tool'), content, tool_call_id: fc.constant('call_1') }),
  fc.record({ role: fc.constant('assistant'), content: oddContent, tool_calls: list(call, 2) }),
  fc.record({ role: roles, content: oddContent, tool_calls: list(call, 2), name: prose }),
)
const tool = fc.record({
  type: fc.constant('function'),
  function: fc.record({ name: functionName, parameters: schemas }),
})
const toolChoice = fc.oneof(
  fc.constantFrom('none', 'auto', 'required', 'perhaps'),
  functionName.map((name) => ({ type: 'function', function: { name } })),
)

const functionTool = fc.record({
  type: fc.constantFrom('function', 'function', 'web_search'),
  name: functionName,
  parameters: schemas,
})
const item = fc.oneof(
  { weight: 4, arbitrary: fc.record({ role: speaker, content }) },
  fc.record({ role: roles, content: oddContent }),
  call.map(({ id, function: { name, arguments: text } }) => ({
    ...{ type: 'function_call', call_id: id, name, arguments: text },
  })),
  fc.constantFrom('done', 5).map((output) => ({
    ...{ type: 'function_call_output', call_id: 'call_1', output },
  })),
)

const responses: FuzzRoute = {
  schema: responsesBody,
  required: ['input', 'max_output_tokens', 'stream'],
  fields: {
    ...generation,
    input: fc.oneof(prose, list(item, 4)),
    max_output_tokens: tokenCount,
    previous_response_id: fc.constantFrom('resp_nonesuch', ''),
    text: responseFormat.map((format) => ({ format })),
    tools: list(functionTool, 2),
    tool_choice: toolChoice,
  },
}

/** By path. */
export const FUZZ_ROUTES: Record<string, FuzzRoute> = {
  '/v1/completions': {
    schema: completionBody,
    required: ['prompt', 'max_tokens', 'stream'],
    fields: {
      ...generation,
      prompt: fc.oneof(prose, list(prose, 3), ids, list(ids, 3)),
      max_tokens: tokenCount,
      prompt_cache_breakpoint: fc.oneof(fc.nat(6), list(fc.nat(6), 5)),
    },
  },
  '/v1/chat/completions': {
    schema: chatBody,
    required: ['messages', 'max_tokens', 'stream'],
    fields: {
      ...generation,
      messages: list(message, 4),
      max_tokens: tokenCount,
      max_completion_tokens: tokenCount,
      tools: list(tool, 2),
      tool_choice: toolChoice,
    },
  },
  '/v1/responses': responses,
  '/v1/responses/input_tokens': responses,
  ...tokenRoutes(''),
  ...tokenRoutes('/v1'),
}

function tokenRoutes(prefix: string): Record<string, FuzzRoute> {
  const text = fc.oneof(prose, fc.string({ unit: 'binary' }))
  return {
    [`${prefix}/tokenize`]: {
      schema: tokenizeBody,
      required: ['prompt'],
      fields: { model, prompt: text, content: text, messages: anyJson },
    },
    [`${prefix}/detokenize`]: {
      schema: detokenizeBody,
      required: ['tokens'],
      fields: { model, tokens: fc.array(tokenId, { maxLength: 20 }) },
    },
  }
}

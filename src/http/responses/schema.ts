// The fields of a request to /v1/responses and what they must be.

import { z } from 'zod'
import { ApiError } from '../../errors.ts'
import { wellFormed } from '../chat/messages.ts'
import { badField } from '../fields/errors.ts'
import {
  checkTogether,
  type GenerationFields,
  generationFields,
  MAX_TOP_LOGPROBS,
  type Parsed,
  parseFields,
} from '../fields/generation.ts'
import { jsonSchema, recordOf, text, truth, wholeNumberFrom } from '../fields/kinds.ts'
import { type NamedSpec, structureOf } from '../fields/structured.ts'
import { responseToolFields } from './tools.ts'

/** Fields of the other routes that have another name or no meaning here. */
const {
  n: _n,
  response_format: _format,
  prompt_logprobs: _promptLogprobs,
  return_token_ids: _ids,
  return_tokens_as_token_ids: _asIds,
  stream_options: _streamOptions,
  request_id: _requestId,
  truncate_prompt_tokens: _truncate,
  truncation_side: _side,
  ...common
} = generationFields

/** What the engine gets for them. */
const defaults = z.object(generationFields).parse({})

const MAX_METADATA = 16
const metadata = `an object of at most ${MAX_METADATA} strings`
const formats = 'an object with type text, json_object or json_schema'
const MAX_INCLUDES = 16
const includes = `a list of at most ${MAX_INCLUDES} strings`

/** Further members are left out: they would come back in the response. */
const textField = z.object(
  {
    format: z
      .object(
        {
          type: z.string(formats),
          name: z.string('a string').nullish(),
          description: z.string('a string').nullish(),
          schema: jsonSchema.nullish(),
          strict: truth.nullish(),
        },
        formats,
      )
      .nullish(),
    verbosity: z.enum(['low', 'medium', 'high'], 'low, medium or high').nullish(),
  },
  'an object',
)

/** Body of POST /v1/responses, with nulls removed; items of `input` are checked by `items.ts`. */
export const responsesBody = z.looseObject({
  ...common,
  input: z.union([z.string(), z.array(z.unknown())], 'a string or a list of items').optional(),
  instructions: wellFormed.optional(),
  max_output_tokens: wholeNumberFrom(1, 2 ** 31 - 1).optional(),
  previous_response_id: text(128).optional(),
  store: truth.default(true),
  text: textField.optional(),
  include: z.array(text(64), includes).max(MAX_INCLUDES, includes).default([]),
  top_logprobs: wholeNumberFrom(0, MAX_TOP_LOGPROBS).optional(),
  ...responseToolFields,
  truncation: z.enum(['auto', 'disabled'], 'auto or disabled').default('disabled'),
  metadata: recordOf(MAX_METADATA, z.string(metadata), metadata).optional(),
  prompt_cache_key: text(1024).optional(),
  background: z.literal(false, 'false: runs in the background are not supported').optional(),
  conversation: z.undefined('nothing: use previous_response_id').optional(),
})

export type ResponsesBody = z.output<typeof responsesBody>

/** Checks all that can be checked without a model. Throws ApiError 400 naming the field at fault. */
export function parseResponsesBody(raw: Record<string, unknown>): Parsed<ResponsesBody> {
  const { stream_options: _, ...given } = raw
  const { body, ignored } = parseFields(responsesBody, given)
  checkTogether(toGenerationFields(body), body.max_output_tokens)
  if (body.input === undefined && body.previous_response_id === undefined) {
    throw new ApiError(400, 'input is required', { param: 'input' })
  }
  return { body, ignored }
}

/** The fields that all routes have. */
export function toGenerationFields(body: ResponsesBody): GenerationFields {
  return { ...defaults, ...body, cache_salt: body.cache_salt ?? body.prompt_cache_key, n: 1 }
}

/** The format of the answer that `text` or `structured_outputs` asks for. */
export function formatOf(body: ResponsesBody): NamedSpec | undefined {
  const format = body.text?.format
  if (!format || format.type === 'text') return structureOf(body)
  if (body.structured_outputs) {
    throw new ApiError(400, 'text.format and structured_outputs exclude each other; send one', {
      param: 'structured_outputs',
    })
  }
  if (format.type === 'json_object') return { spec: { kind: 'json_object' }, param: 'text.format' }
  if (format.type !== 'json_schema') {
    throw badField('text.format.type', 'text, json_object or json_schema', format.type)
  }
  const param = 'text.format.schema'
  if (!format.schema) throw badField(param, 'a JSON schema', undefined)
  return { spec: { kind: 'json_schema', schema: format.schema }, param }
}

/** Alternatives beside each token of the answer; undefined: no log-probabilities. */
export function wantedLogprobs({ include, top_logprobs: count }: ResponsesBody) {
  if (count !== undefined && count > 0) return count
  return include.includes('message.output_text.logprobs') ? 0 : undefined
}

// What each route does, takes and answers, for the OpenAPI document.

import { describeRoute } from 'hono-openapi'
import { chatBody } from '../chat/schema.ts'
import { completionBody } from '../completions/schema.ts'
import { responsesBody } from '../responses/schema.ts'
import {
  BODY_FAULTS,
  body,
  errors,
  formOf,
  generated,
  idParameter,
  MODEL_FAULT,
  PAGE_FAULT,
  queryParameter,
  reply,
  WORK_FAULTS,
} from './doc-parts.ts'
import { CHAT_NOTES, RESPONSES_NOTES, TOKENIZE_NOTES } from './field-notes.ts'
import { detokenizeBody, tokenizeBody } from './tokenize.ts'

const USAGE = {
  prompt_tokens: 5,
  completion_tokens: 2,
  total_tokens: 7,
  prompt_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
}

const ENVELOPE = {
  created: 1764000000,
  model: 'tales-gla-5m',
  system_fingerprint: 'glaze-0.1.0-tales-gla-5m',
}

const COMPLETION = { id: 'cmpl-0b1f', object: 'text_completion', ...ENVELOPE }
const CHAT = { id: 'chatcmpl-0b1f', object: 'chat.completion', ...ENVELOPE }
const CHAT_CHUNK = { ...CHAT, object: 'chat.completion.chunk' }

const RESPONSE = {
  id: 'resp_0b1f',
  object: 'response',
  created_at: 1764000000,
  status: 'completed',
  model: 'tales-gla-5m',
  output: [
    {
      ...{ id: 'msg_0b1f', type: 'message', status: 'completed', role: 'assistant' },
      content: [{ type: 'output_text', text: 'There was a king.', annotations: [], logprobs: [] }],
    },
  ],
}

const MODEL = {
  ...{ id: 'tales-gla-5m', object: 'model', created: 1764000000, owned_by: 'glaze' },
  max_model_len: 8192,
}
/** Where a prompt may have any length there is no `max_model_len`. */
const MODEL_FORM = { ...formOf(MODEL), required: ['id', 'object', 'created', 'owned_by'] }
const MODELS = { object: 'list', data: [MODEL] }
const MODELS_FORM = {
  ...formOf(MODELS),
  properties: { object: { type: 'string' }, data: { type: 'array', items: MODEL_FORM } },
}

const TOKENS = { count: 3, max_model_len: null, tokens: [1, 300, 301], token_strs: null }

const PLACES = { name: 'glaze', docs: '/docs', openapi: '/openapi.json', status: '/status' }

const STATUS = {
  ...{ model: 'tales-gla-5m', version: '0.1.0', chat: false, draining: false },
  ...{ slots: 64, slots_used: 1, running: 1, waiting: 0 },
  sampling: { temperature: 0.8, top_p: 0.9, top_k: 0, min_p: 0.05, repetition_penalty: 1.1 },
  prefix_cache: {
    ...{ states: 2, gpu_bytes: 425984, host_bytes: 0 },
    ...{ hits: 1, misses: 1, read_tokens: 5 },
  },
}
/** What not every model has. */
const STATUS_SIZES = {
  ...{ model_type: 'gla', max_model_len: 8192 },
  ...{ state_bytes: 196608, cache_bytes: 0, softmax_bytes_per_token: 3072 },
}
const STATUS_FORM = {
  ...formOf({ ...STATUS, ...STATUS_SIZES }),
  required: Object.keys(STATUS),
}

const RESPONSE_ID = idParameter('The id of the response')
const RESPONSE_FAULT = { 404: 'No such response is stored' }

function healthDocs(operationId: string) {
  return describeRoute({
    ...{ operationId, summary: 'Whether the server works, however busy it is', security: [] },
    responses: {
      200: reply('It works', { status: 'ok' }),
      503: reply('It loads, or nothing runs any more', { status: 'device_lost', reason: 'why' }),
    },
  })
}

function readyDocs(operationId: string) {
  return describeRoute({
    ...{ operationId, summary: 'Whether the server takes new requests', security: [] },
    responses: {
      200: reply('It does', { status: 'ready' }),
      503: reply('It loads, shuts down, or failed', { status: 'draining', reason: 'why' }),
    },
  })
}

/** By handler; given to the routes of the app. */
export const docs = {
  completions: describeRoute({
    operationId: 'createCompletion',
    summary: 'Continue a text',
    requestBody: body(completionBody, { prompt: 'Once upon a time', max_tokens: 64 }),
    responses: {
      200: generated(
        {
          ...COMPLETION,
          choices: [
            {
              index: 0,
              text: ' there was',
              logprobs: null,
              finish_reason: 'length',
              stop_reason: null,
            },
          ],
          usage: USAGE,
        },
        'data: ',
        {
          ...COMPLETION,
          choices: [
            { index: 0, text: ' there', logprobs: null, finish_reason: null, stop_reason: null },
          ],
        },
      ),
      ...errors(WORK_FAULTS),
    },
  }),
  chat: describeRoute({
    operationId: 'createChatCompletion',
    summary: 'Answer a conversation',
    description: 'Needs a model with a chat template, or a server with --chat-template.',
    requestBody: body(
      chatBody,
      { messages: [{ role: 'user', content: 'Tell me a tale.' }], max_completion_tokens: 64 },
      CHAT_NOTES,
    ),
    responses: {
      200: generated(
        {
          ...CHAT,
          choices: [
            {
              ...{ index: 0, logprobs: null, finish_reason: 'stop' },
              message: { role: 'assistant', content: 'There was a king.', refusal: null },
            },
          ],
          usage: USAGE,
        },
        'data: ',
        {
          ...CHAT_CHUNK,
          choices: [{ index: 0, delta: { content: 'There' }, logprobs: null, finish_reason: null }],
        },
      ),
      ...errors(WORK_FAULTS),
    },
  }),
  responses: describeRoute({
    operationId: 'createResponse',
    summary: 'Answer a text or a conversation, and keep the state for a next answer',
    description: 'Needs a model with a chat template, or a server with --chat-template.',
    requestBody: body(
      responsesBody,
      { input: 'Tell me a tale.', max_output_tokens: 64 },
      RESPONSES_NOTES,
    ),
    responses: {
      200: generated(RESPONSE, 'event: response.output_text.delta\ndata: ', {
        ...{ type: 'response.output_text.delta', sequence_number: 4, item_id: 'msg_0b1f' },
        ...{ output_index: 0, content_index: 0, delta: 'There', logprobs: [] },
      }),
      ...errors(WORK_FAULTS),
    },
  }),
  response: describeRoute({
    operationId: 'retrieveResponse',
    summary: 'A stored response',
    parameters: [RESPONSE_ID],
    responses: { 200: reply('The response', RESPONSE), ...errors(RESPONSE_FAULT) },
  }),
  deleteResponse: describeRoute({
    operationId: 'deleteResponse',
    summary: 'Forget a stored response',
    parameters: [RESPONSE_ID],
    responses: {
      200: reply('It is gone', { id: 'resp_0b1f', object: 'response', deleted: true }),
      ...errors({ ...RESPONSE_FAULT, ...PAGE_FAULT }),
    },
  }),
  inputItems: describeRoute({
    operationId: 'listInputItems',
    summary: 'What the request of a stored response brought',
    parameters: [
      RESPONSE_ID,
      queryParameter('limit', 'Most items, from 1 to 100', {
        ...{ type: 'integer', minimum: 1, maximum: 100, default: 20 },
      }),
      queryParameter('order', 'Oldest or latest first', {
        ...{ type: 'string', enum: ['asc', 'desc'], default: 'desc' },
      }),
      queryParameter('after', 'The id of the item before the page', { type: 'string' }),
    ],
    responses: {
      200: reply('A page of items', {
        ...{ object: 'list', data: [], first_id: null, last_id: null, has_more: false },
      }),
      ...errors({ 400: 'A parameter is wrong; `param` names it', ...RESPONSE_FAULT }),
    },
  }),
  inputTokens: describeRoute({
    operationId: 'countInputTokens',
    summary: 'How many tokens a request for a response would read',
    requestBody: body(responsesBody, { input: 'Tell me a tale.' }, RESPONSES_NOTES),
    responses: {
      200: reply('The number', { object: 'response.input_tokens', input_tokens: 9 }),
      ...errors({ ...BODY_FAULTS, ...MODEL_FAULT }),
    },
  }),
  models: describeRoute({
    operationId: 'listModels',
    summary: 'The names of the served model',
    responses: { 200: reply('Names', MODELS, MODELS_FORM), ...errors() },
  }),
  model: describeRoute({
    operationId: 'retrieveModel',
    summary: 'One of the names of the served model',
    parameters: [idParameter('A name, which may have slashes in it')],
    responses: { 200: reply('The model', MODEL, MODEL_FORM), ...errors({ 404: 'No such name' }) },
  }),
  tokenize: describeRoute({
    operationId: ({ path }) => (path === '/tokenize' ? 'tokenize' : 'tokenizeV1'),
    summary: 'Token ids of a text',
    description:
      'Takes and answers what clients of vLLM (prompt, messages) or of llama-server (content) ' +
      'expect. Special tokens are added around a prompt and nothing else unless the body says so.',
    requestBody: body(tokenizeBody, { prompt: 'Once upon a time' }, TOKENIZE_NOTES),
    responses: {
      200: reply('Token ids, and their texts if asked for', TOKENS, {
        ...formOf(TOKENS),
        properties: {
          count: { type: 'integer' },
          max_model_len: { type: ['integer', 'null'] },
          tokens: { type: 'array', items: { type: ['integer', 'object'] } },
          token_strs: { type: ['array', 'null'], items: { type: 'string' } },
        },
      }),
      ...errors({ ...BODY_FAULTS, ...MODEL_FAULT }),
    },
  }),
  detokenize: describeRoute({
    operationId: ({ path }) => (path === '/detokenize' ? 'detokenize' : 'detokenizeV1'),
    summary: 'The text of token ids',
    requestBody: body(detokenizeBody, { tokens: [1, 300, 301] }),
    responses: {
      200: reply('The text, under the names of both servers', { prompt: 'Once', content: 'Once' }),
      ...errors({ ...BODY_FAULTS, ...MODEL_FAULT }),
    },
  }),
  health: healthDocs('getHealth'),
  live: healthDocs('getLiveness'),
  ready: readyDocs('getReadiness'),
  healthReady: readyDocs('getHealthReadiness'),
  metrics: describeRoute({
    operationId: 'getMetrics',
    summary: 'Metrics for Prometheus',
    security: [],
    responses: {
      200: {
        description: 'The text format 0.0.4',
        content: { 'text/plain': { schema: { type: 'string' }, example: 'glaze_ready 1\n' } },
      },
    },
  }),
  page: describeRoute({
    ...{ operationId: 'getPage', summary: 'A page to try the model with', security: [] },
    responses: {
      200: {
        description: 'The page, or where to look for programs that accept `application/json`',
        content: {
          'text/html': { schema: { type: 'string' } },
          ...reply('', PLACES).content,
        },
      },
      ...errors(),
    },
  }),
  status: describeRoute({
    operationId: 'getStatus',
    summary: 'What is served, what a sequence costs, and how busy the server is',
    description:
      '`state_bytes` is the memory of one sequence, however long; `cache_bytes` is the part of it that ' +
      'is kept for keys and values of softmax layers; `softmax_bytes_per_token` is what each token ' +
      'would add to the float16 cache of a softmax model of the same shape. `sampling` holds for ' +
      'requests that leave it open.',
    responses: {
      200: reply('The figures of now', { ...STATUS, ...STATUS_SIZES }, STATUS_FORM),
      ...errors(),
    },
  }),
  version: describeRoute({
    operationId: 'getVersion',
    summary: 'The version of the server',
    responses: {
      200: reply('The version', { version: '0.1.0', model: 'tales-gla-5m' }),
      ...errors(),
    },
  }),
  openapi: describeRoute({
    operationId: 'getOpenApiDocument',
    summary: 'This document',
    responses: { 200: reply('The document', { openapi: '3.1.0' }), ...errors() },
  }),
  docs: describeRoute({
    operationId: 'getDocsPage',
    summary: 'This document for people',
    responses: {
      200: { description: 'A page', content: { 'text/html': { schema: { type: 'string' } } } },
      ...errors(),
    },
  }),
}

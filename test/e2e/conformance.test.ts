// Every kind of reply against OpenAI's own schemas: each body of the tables whole and streamed, and
// each status that a client can cause. RawClient checks what comes back; so do all other tests here
// that use it or `checkingFetch`.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { startChatServer } from '../helpers/chat-server.ts'
import { checkingFetch } from '../helpers/checking-fetch.ts'
import { expectError } from '../helpers/openai-schema.ts'
import { RawClient } from '../helpers/raw-client.ts'
import type { ServerProcess } from '../helpers/server.ts'
import { BROKEN_BODIES, wireBody } from '../http/broken-bodies.ts'

setDefaultTimeout(60_000)

const schema = { type: 'object', properties: { a: { enum: [1, 2] } }, required: ['a'] }
const format = { type: 'json_schema', json_schema: { name: 'a', schema } }
const tools = [{ type: 'function', function: { name: 'f', parameters: schema } }]
const usage = { stream_options: { include_usage: true } }
const messages = [{ role: 'user', content: 'Tell me a tale.' }]

/** Bodies by route; those that are only for streams are sent only so. */
const bodies: Record<string, object[]> = {
  '/v1/completions': [
    {},
    { max_tokens: 0 },
    { n: 3, best_of: 3 },
    { prompt: ['Once', 'The king'], n: 2 },
    { prompt: [[1, 2], [3]] },
    { logprobs: 0 },
    { logprobs: 3, n: 2 },
    { echo: true },
    { echo: true, logprobs: 2 },
    { echo: true, logprobs: 1, max_tokens: 0 },
    { echo: true, logprobs: 1, prompt: ['Once', 'The king'], n: 2 },
    { stop: [' a', ' the'], max_tokens: 30 },
    { logit_bias: { 2: 100 } },
    { return_token_ids: true, return_tokens_as_token_ids: true, logprobs: 1 },
    { response_format: format, max_tokens: 40 },
    { structured_outputs: { choice: ['yes', 'no'] } },
    { ...usage, n: 2 },
    { stream_options: { include_usage: true, continuous_usage_stats: true } },
  ],
  '/v1/chat/completions': [
    {},
    { n: 2 },
    { logprobs: true },
    { logprobs: true, top_logprobs: 4, n: 2 },
    { stop: ' a', max_tokens: 30 },
    { logit_bias: { 2: 100 } },
    { response_format: { type: 'json_object' } },
    { response_format: format, max_tokens: 40, logprobs: true },
    { tools },
    { tools, tool_choice: 'none' },
    { tools, tool_choice: 'required', parallel_tool_calls: false, max_tokens: 60 },
    { tools, tool_choice: 'required', max_tokens: 20, n: 2 },
    { tools, tool_choice: { type: 'function', function: { name: 'f' } }, logprobs: true },
    { ...usage, n: 2 },
  ],
  '/v1/responses': [
    {},
    { instructions: 'You tell tales.', metadata: { a: 'b' } },
    { include: ['message.output_text.logprobs'], top_logprobs: 2 },
    { text: { format: { type: 'json_schema', name: 'a', schema } }, max_output_tokens: 40 },
    { tools: [{ type: 'function', name: 'f', parameters: schema }] },
    {
      ...{ tools: [{ type: 'function', name: 'f', parameters: schema }], tool_choice: 'required' },
      ...{ parallel_tool_calls: false, max_output_tokens: 60 },
    },
    { store: false, temperature: 0 },
  ],
}

const common: Record<string, object> = {
  '/v1/completions': { prompt: 'Once upon a time', max_tokens: 6, seed: 1 },
  '/v1/chat/completions': { messages, max_tokens: 6, seed: 1 },
  '/v1/responses': { input: 'Tell me a tale.', max_output_tokens: 6, seed: 1 },
}

let server: ServerProcess
let client: RawClient

beforeAll(async () => {
  server = await startChatServer(['--max-model-len', '512'])
  client = new RawClient(server.url)
})

afterAll(() => server?.[Symbol.asyncDispose]())

describe.each(Object.entries(bodies))('%s', (path, table) => {
  test.each(table.map((body) => [JSON.stringify(body), body]))('%s', async (_, body) => {
    const whole = { ...common[path], ...body }
    if (!('stream_options' in body)) await client.ask(path, whole)
    const events = await client.stream(path, whole)
    expect(events).not.toBeEmpty()
  })
})

describe('other replies', () => {
  test('models', async () => {
    const { json } = await client.get('/v1/models')
    for (const { id } of json.data) {
      expect((await client.get(`/v1/models/${id}`)).json.id).toBe(id)
    }
  })

  test.each<[string, string, RequestInit, number]>([
    ['an unknown route', '/v1/nothing', {}, 404],
    ['an unknown model', '/v1/models/nothing', {}, 404],
    ['an unknown response', '/v1/responses/resp_nothing', {}, 404],
    ['a wrong method', '/v1/completions', {}, 405],
    ['another wrong method', '/health', { method: 'POST' }, 405],
    ['no body', '/v1/chat/completions', { method: 'POST' }, 400],
    ['no JSON', '/v1/responses', { method: 'POST', body: 'x' }, 400],
    [
      'no JSON by its label',
      '/v1/responses',
      { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } },
      415,
    ],
    ['a huge body', '/v1/completions', { method: 'POST', body: ' '.repeat(5 * 2 ** 20) }, 413],
  ])('%s', async (_, path, init, status) => {
    const reply = await checkingFetch()(`${server.url}${path}`, init)
    expect(reply.status).toBe(status)
    expectError(await reply.json())
  })

  test('every broken body', async () => {
    for (const broken of BROKEN_BODIES) {
      const reply = await checkingFetch()(`${server.url}/v1/completions`, {
        method: 'POST',
        headers: { 'content-type': broken.contentType! },
        body: wireBody(broken),
      })
      expect(reply.status).toBe(broken.status)
      expectError(await reply.json())
    }
  })
})

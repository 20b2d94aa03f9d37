// The validators and the checking fetch see what is wrong: each test breaks a sound reply once.

import { describe, expect, test } from 'bun:test'
import type { Json } from '../http/test-app.ts'
import { checkingFetch } from './checking-fetch.ts'
import {
  expectChat,
  expectChatChunk,
  expectCompletion,
  expectCompletionChunk,
  expectError,
  expectModels,
  expectResponse,
  expectResponseEvent,
} from './openai-schema.ts'

const call = { name: 'f', arguments: '{}' }
const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
const base = { id: 'x', created: 1, model: 'm', system_fingerprint: 'f' }
const logprobs = {
  tokens: ['a', 'b'],
  token_logprobs: [-1, -2],
  top_logprobs: [{ a: -1 }, { b: -2 }],
  text_offset: [0, 1],
}
const tokenLogprob = { token: 'a', logprob: -1, bytes: [97], top_logprobs: [] }

const completion = {
  ...{ ...base, object: 'text_completion', usage },
  choices: [{ index: 0, text: 'ab', logprobs, finish_reason: 'stop' }],
}
const completionChunk = {
  ...{ ...base, object: 'text_completion', usage: null },
  choices: [{ index: 0, text: 'ab', logprobs: null, finish_reason: null }],
}
const chat = {
  ...{ ...base, object: 'chat.completion', usage },
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'ab', refusal: null },
      logprobs: { content: [tokenLogprob], refusal: null },
      finish_reason: 'stop',
    },
  ],
}
const chatChunk = {
  ...{ ...base, object: 'chat.completion.chunk', usage: null },
  choices: [{ index: 0, delta: { content: 'a' }, logprobs: null, finish_reason: null }],
}
const error = { error: { message: 'm', type: 't', param: null, code: null } }
const model = { id: 'm', object: 'model', created: 1, owned_by: 'me' }
const models = { object: 'list', data: [model] }
const response = {
  ...{ id: 'resp_1', object: 'response', created_at: 1, status: 'completed', model: 'm' },
  output: [
    {
      ...{ id: 'msg_1', type: 'message', role: 'assistant', status: 'completed' },
      content: [{ type: 'output_text', text: 'a', annotations: [] }],
    },
  ],
  ...{ error: null, incomplete_details: null, instructions: null, metadata: {}, tools: [] },
  ...{ parallel_tool_calls: true, temperature: 1, top_p: 1, tool_choice: 'auto' },
}
const responseEvent = {
  ...{ type: 'response.output_text.delta', sequence_number: 3, item_id: 'msg_1', delta: 'a' },
  ...{ output_index: 0, content_index: 0, logprobs: [] },
}

/** A member of the JSON as a dotted path, and what breaks it; undefined takes it away. */
type Fault = [path: string, value: unknown]

const kinds: [string, (json: unknown) => void, object, Fault[]][] = [
  [
    'completion',
    expectCompletion,
    completion,
    [
      ['id', undefined],
      ['object', 'chat.completion'],
      ['created', '1'],
      ['choices.0.logprobs', undefined],
      ['choices.0.finish_reason', null],
      ['choices.0.finish_reason', 'eos'],
      ['choices.0.logprobs.token_logprobs.0', null],
      ['choices.0.logprobs.top_logprobs.0', null],
      ['choices.0.text', null],
      ['usage', null],
      ['usage.total_tokens', undefined],
    ],
  ],
  [
    'completion with echo',
    (json) => expectCompletion(json, { echo: true }),
    completion,
    [
      ['choices.0.logprobs.token_logprobs.1', null],
      ['choices.0.logprobs.top_logprobs.1', null],
    ],
  ],
  [
    'completion chunk',
    expectCompletionChunk,
    completionChunk,
    [
      ['choices', undefined],
      ['choices.0.finish_reason', undefined],
      ['choices.0.text', undefined],
    ],
  ],
  [
    'chat completion',
    expectChat,
    chat,
    [
      ['choices.0.message.refusal', undefined],
      ['choices.0.message.role', 'user'],
      ['choices.0.logprobs', undefined],
      ['choices.0.logprobs.refusal', undefined],
      ['choices.0.logprobs.content.0.bytes', undefined],
      ['choices.0.finish_reason', null],
      ['choices.0.message.tool_calls', [{ type: 'function', function: call }]],
      [
        'choices.0.message.tool_calls',
        [{ id: 'c', type: 'function', function: { ...call, arguments: {} } }],
      ],
    ],
  ],
  [
    'chat chunk',
    expectChatChunk,
    chatChunk,
    [
      ['choices.0.delta', undefined],
      ['choices.0.finish_reason', undefined],
      ['choices.0.index', '0'],
      ['object', 'chat.completion'],
    ],
  ],
  [
    'error',
    expectError,
    error,
    [
      ['error', undefined],
      ['error.param', undefined],
      ['error.code', undefined],
      ['error.code', 400],
      ['error.message', null],
    ],
  ],
  [
    'list of models',
    expectModels,
    models,
    [
      ['data.0.owned_by', undefined],
      ['object', 'models'],
    ],
  ],
  [
    'response',
    expectResponse,
    response,
    [
      ['id', 'chatcmpl-1'],
      ['status', 'done'],
      ['tools', undefined],
      ['output.0.content', 'a'],
      ['output.0.type', 'text'],
    ],
  ],
  [
    'response event',
    expectResponseEvent,
    responseEvent,
    [
      ['sequence_number', undefined],
      ['item_id', undefined],
      ['type', 'response.text'],
    ],
  ],
]

/** A copy of the JSON with one fault. */
function damaged(sound: object, [path, value]: Fault): unknown {
  const json = structuredClone(sound) as Json
  const keys = path.split('.')
  const last = keys.pop()!
  const parent = keys.reduce((node, key) => node[key], json)
  if (value === undefined) delete parent[last]
  else parent[last] = value
  return json
}

describe.each(kinds)('%s', (_, check, sound, faults) => {
  test('a sound one passes, with extensions', () => {
    check(sound)
    check({ ...sound, extension: { of: 'ours' } })
  })

  test.each(faults)('%s: %p', (path, value) => {
    expect(() => check(damaged(sound, [path, value]))).toThrow(/^not a sound /)
  })

  test('something else', () => {
    for (const json of [undefined, null, 5, 'x', [], {}]) {
      expect(() => check(json)).toThrow(/^not a sound /)
    }
  })
})

test('with echo the first token has no log-probability', () => {
  const echoed = structuredClone(completion) as Json
  echoed.choices[0].logprobs.token_logprobs[0] = null
  echoed.choices[0].logprobs.top_logprobs[0] = null
  expectCompletion(echoed, { echo: true })
})

/** The text that a client reads from a reply of these frames, or the error that it gets. */
async function stream(path: string, body: object, frames: unknown[]): Promise<string> {
  const text = frames
    .map((frame) => (typeof frame === 'string' ? frame : `data: ${JSON.stringify(frame)}`))
    .map((frame) => `${frame}\n\n`)
    .join('')
  const checked = checkingFetch(
    async () =>
      new Response(text, {
        headers: {
          'content-type': 'text/event-stream',
          'cache-control': 'no-cache',
          'x-accel-buffering': 'no',
          'x-request-id': 'r',
        },
      }),
  )
  const reply = await checked(`http://x${path}`, { method: 'post', body: JSON.stringify(body) })
  return reply.text()
}

describe('streams', () => {
  const end = structuredClone(completionChunk) as Json
  Object.assign(end.choices[0], { text: '', finish_reason: 'stop' })
  const total = { ...completionChunk, choices: [], usage }
  const done = 'data: [DONE]'
  const options = { stream: true, stream_options: { include_usage: true } }

  test('a sound one comes through as it is', async () => {
    const text = await stream('/v1/completions', options, [
      ...[': ok', completionChunk, end, total, done],
    ])
    expect(text).toStartWith(': ok\n\ndata: {')
    expect(text).toEndWith('data: [DONE]\n\n')
    await stream('/v1/completions', {}, [completionChunk, error])
  })

  test.each<[string, object, unknown[]]>([
    ['no [DONE]', {}, [completionChunk, end]],
    ['no last chunk', {}, [completionChunk, done]],
    ['nothing', {}, [done]],
    ['no usage', options, [completionChunk, end, done]],
    ['usage unasked', {}, [completionChunk, end, total, done]],
    ['usage too early', options, [completionChunk, total, end, done]],
    ['text after the last chunk', {}, [end, completionChunk, done]],
    ['a second id', {}, [completionChunk, { ...end, id: 'y' }, done]],
    ['text beside the finish reason', {}, [{ ...completionChunk, choices: completion.choices }]],
    ['an unsound chunk', {}, [{ ...completionChunk, created: null }, end, done]],
    ['an event after [DONE]', {}, [completionChunk, end, done, end]],
    ['no event', {}, ['dada: 5']],
    ['no JSON', {}, ['data: {']],
    ['an event after an error', {}, [error, completionChunk]],
    ['an unsound error', {}, [{ error: { message: 'm' } }]],
  ])('%s', async (_, body, frames) => {
    await expect(stream('/v1/completions', body, frames)).rejects.toThrow()
  })

  const first = structuredClone(chatChunk) as Json
  first.choices[0].delta = { role: 'assistant', content: '' }
  const last = structuredClone(chatChunk) as Json
  Object.assign(last.choices[0], { delta: {}, finish_reason: 'stop' })

  test('a sound chat', async () => {
    await stream('/v1/chat/completions', {}, [first, chatChunk, last, done])
  })

  test.each<[string, unknown[]]>([
    ['no role', [chatChunk, last, done]],
    ['two roles', [first, first, last, done]],
    [
      'content in the last chunk',
      [
        first,
        { ...last, choices: [{ index: 0, delta: { content: '' }, finish_reason: 'stop' }] },
        done,
      ],
    ],
  ])('a chat with %s', async (_, frames) => {
    await expect(stream('/v1/chat/completions', {}, frames)).rejects.toThrow('broken stream')
  })

  const named = (event: Json) => `event: ${event.type}\ndata: ${JSON.stringify(event)}`
  const created = { type: 'response.created', sequence_number: 0, response }
  const completed = { type: 'response.completed', sequence_number: 2, response }
  const delta = { ...responseEvent, sequence_number: 1 }

  test('a sound response', async () => {
    await stream('/v1/responses', {}, [created, delta, completed].map(named))
    const failed = { ...completed, type: 'response.failed' }
    const fault = { type: 'error', sequence_number: 3, code: null, message: 'm', param: null }
    await stream('/v1/responses', {}, [created, delta, failed, fault].map(named))
  })

  test.each<[string, string[]]>([
    ['no end', [created, delta].map(named)],
    ['a gap', [created, completed].map(named)],
    [
      'an event after the end',
      [created, delta, completed, { ...delta, sequence_number: 3 }].map(named),
    ],
    ['no beginning', [{ ...delta, sequence_number: 0 }].map(named)],
    ['unnamed events', [`data: ${JSON.stringify(created)}`]],
  ])('a response with %s', async (_, frames) => {
    await expect(stream('/v1/responses', {}, frames)).rejects.toThrow('broken stream')
  })
})

test('a reply without a request id, and an unsound error reply', async () => {
  const anonymous = checkingFetch(() => Response.json(models))
  await expect(anonymous('http://x/v1/models')).rejects.toThrow('no x-request-id')
  const headers = { 'x-request-id': 'r' }
  const unsound = checkingFetch(() => Response.json({ error: 'no' }, { status: 404, headers }))
  await expect(unsound('http://x/v1/nothing')).rejects.toThrow('not a sound error')
})

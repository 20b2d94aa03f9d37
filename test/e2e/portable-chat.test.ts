// Cases of the llama.cpp and vLLM suites that hold for any server, told anew: chats. Samples,
// streams that equal whole replies, schemas and tools of the client library are in
// clients-openai-chat.test.ts; see portable-completions.test.ts for the rest.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { startChatServer } from '../helpers/chat-server.ts'
import { RawClient, textsOf } from '../helpers/raw-client.ts'
import type { ServerProcess } from '../helpers/server.ts'
import type { Json } from '../http/test-app.ts'

setDefaultTimeout(60_000)

const ROUTE = '/v1/chat/completions'
const messages = [{ role: 'user', content: 'Tell me a tale.' }]
const greedy = { messages, max_tokens: 10, temperature: 0 }

let server: ServerProcess
let client: RawClient

beforeAll(async () => {
  server = await startChatServer()
  client = new RawClient(server.url)
})

afterAll(() => server?.[Symbol.asyncDispose]())

async function choiceOf(body: object): Promise<Json> {
  return (await client.ask(ROUTE, { ...greedy, ...body })).choices[0]
}

describe('messages', () => {
  test('are the text that the template makes of them', async () => {
    const { message } = await choiceOf({})
    const prompt = '<s><|im_start|>user\nTell me a tale.<|im_end|>\n<|im_start|>assistant\n'
    const body = { ...greedy, messages: undefined, prompt, add_special_tokens: false }
    const { choices } = await client.ask('/v1/completions', body)
    expect(message.content).toBe(choices[0].text)
  })

  test('of several parts are joined', async () => {
    const parts = ['Tell me ', 'a tale.'].map((text) => ({ type: 'text', text }))
    const { message } = await choiceOf({ messages: [{ role: 'user', content: parts }] })
    expect(message).toEqual((await choiceOf({})).message)
  })

  test('the newer name of the token limit wins', async () => {
    const limits = { max_tokens: 9, max_completion_tokens: 3 }
    const { usage } = await client.ask(ROUTE, { ...greedy, ...limits })
    expect(usage.completion_tokens).toBe(3)
  })

  test.each<[string, unknown]>([
    ['left out', undefined],
    ['null', null],
    ['a string', 'hello'],
    ['a number', 123],
    ['an empty list', []],
    ['a list of numbers', [123]],
    ['a list of empty objects', [{}]],
    ['without a role', [{ content: 'hello' }]],
    ['with a number for a role', [{ role: 123, content: 'hello' }]],
    ['with an unknown role', [{ role: 'narrator', content: 'hello' }]],
    ['without content', [{ role: 'user' }]],
    ['with a number for content', [{ role: 'user', content: 123 }]],
    ['with null content of a user', [{ role: 'user', content: null }]],
    ['with an unknown part', [{ role: 'user', content: [{ type: 'video_url' }] }]],
    ['with half a part', [{ role: 'user', content: [{ type: 'text' }] }]],
    ['a list in a list', [[{ role: 'user', content: 'hello' }]]],
  ])('%s', async (_, messages) => {
    for (const stream of [false, true]) {
      const { status, json } = await client.post(ROUTE, { ...greedy, messages, stream })
      expect(status).toBe(400)
      expect(json.error.param).toMatch(/^messages(\.|$)/)
    }
  })

  test('a begun turn cannot be begun again', async () => {
    const { status } = await client.post(ROUTE, {
      ...{ ...greedy, messages: [...messages, { role: 'assistant', content: 'Once' }] },
      ...{ add_generation_prompt: true, continue_final_message: true },
    })
    expect(status).toBe(400)
  })

  test('without add_generation_prompt the template begins no turn', async () => {
    const { usage } = await client.ask(ROUTE, greedy)
    const shorter = await client.ask(ROUTE, { ...greedy, add_generation_prompt: false })
    expect(shorter.usage.prompt_tokens).toBeLessThan(usage.prompt_tokens)
  })
})

describe('logprobs', () => {
  test.each([
    [{}, undefined],
    [{ logprobs: false }, undefined],
    [{ logprobs: true }, 0],
    [{ logprobs: true, top_logprobs: 0 }, 0],
    [{ logprobs: true, top_logprobs: 5 }, 5],
    [{ logprobs: true, top_logprobs: 20 }, 20],
  ])('%p', async (fields, count) => {
    const { message, logprobs } = await choiceOf(fields)
    if (count === undefined) return expect(logprobs).toBeNull()
    const tokens: Json[] = logprobs.content
    expect(tokens).toHaveLength(10)
    expect(logprobs.refusal).toBeNull()
    expect(tokens.map(({ token }) => token).join('')).toBe(message.content)
    for (const { token, logprob, bytes, top_logprobs } of tokens) {
      expect(logprob).toBeLessThanOrEqual(0)
      expect(Buffer.from(bytes).toString()).toBe(token)
      expect(top_logprobs).toHaveLength(count)
      const values = top_logprobs.map((each: Json) => each.logprob)
      expect(values).toEqual([...values].sort((a, b) => b - a))
    }
  })

  test.each([
    [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs'],
    [{ logprobs: true, top_logprobs: -1 }, 'top_logprobs'],
    [{ top_logprobs: 5 }, 'top_logprobs'],
    [{ logprobs: 5 }, 'logprobs'],
  ])('%p is refused', async (fields, param) => {
    const { status, json } = await client.post(ROUTE, { ...greedy, ...fields })
    expect([status, json.error.param]).toEqual([400, param])
  })
})

describe('streams', () => {
  test('begin with the role and end without content', async () => {
    const events = await client.stream(ROUTE, greedy)
    const [first] = events[0].choices
    expect(first).toMatchObject({ delta: { role: 'assistant', content: '' }, finish_reason: null })
    const [last] = events.at(-1).choices
    expect(last).toMatchObject({ delta: {}, finish_reason: 'length' })
    expect(last.delta).not.toContainKey('content')
    expect(events.slice(1).every(({ choices }) => !('role' in choices[0].delta))).toBe(true)
    expect(textsOf(events)).toEqual([(await choiceOf({})).message.content])
  })

  test('continuous_usage_stats', async () => {
    const options = { stream_options: { include_usage: true, continuous_usage_stats: true } }
    const events = await client.stream(ROUTE, { ...greedy, ...options })
    const counts = events.map(({ usage }) => usage.completion_tokens)
    expect(counts).toEqual([...counts].sort((a, b) => a - b))
    expect(counts.at(-1)).toBe(10)
  })
})

describe('response_format', () => {
  test.each([[{ type: 'text' }], [null]])('%p asks for nothing', async (response_format) => {
    expect(await choiceOf({ response_format })).toEqual(await choiceOf({}))
  })

  test('json_object', async () => {
    // Left to itself the model talks on in the first key: make quotes and braces likely.
    const [quote, brace] = await Promise.all(
      ['a"', 'a}'].map((content) => client.ask('/tokenize', { content })),
    )
    const reply = await client.ask(ROUTE, {
      ...{ ...greedy, temperature: 1, seed: 4, n: 8, max_tokens: 40 },
      logit_bias: { [quote.tokens.at(-1)]: 6, [brace.tokens.at(-1)]: 10 },
      response_format: { type: 'json_object' },
    })
    const contents: string[] = reply.choices.map(({ message }: Json) => message.content)
    expect(contents.every((content) => content.startsWith('{'))).toBe(true)
    const ended = contents.filter((_, index) => reply.choices[index].finish_reason === 'stop')
    expect(ended.length).toBeGreaterThan(3)
    expect(ended.every((content) => content.endsWith('}') && JSON.parse(content))).toBe(true)
    expect(ended.some((content) => content !== '{}')).toBe(true)
  })

  test('json_schema, whole and streamed', async () => {
    const schema = {
      type: 'object',
      properties: { ok: { type: 'boolean' }, kind: { enum: ['wolf', 'fox'] } },
      required: ['ok', 'kind'],
      additionalProperties: false,
    }
    const response_format = { type: 'json_schema', json_schema: { name: 'a', schema } }
    const body = { ...greedy, max_tokens: 60, response_format }
    const { message, finish_reason } = await choiceOf(body)
    expect(finish_reason).toBe('stop')
    expect(JSON.parse(message.content)).toEqual({
      ok: expect.any(Boolean),
      kind: expect.stringMatching(/^(wolf|fox)$/),
    })
    expect(textsOf(await client.stream(ROUTE, body))).toEqual([message.content])
  })

  test.each<[string, object, string]>([
    ['an unknown type', { type: 'xml' }, 'response_format'],
    ['no schema', { type: 'json_schema' }, 'response_format.json_schema'],
    [
      'a schema that is none',
      { type: 'json_schema', json_schema: { name: 'a', schema: { type: 'nonsense' } } },
      'response_format.json_schema.schema',
    ],
  ])('%s', async (_, response_format, param) => {
    const { status, json } = await client.post(ROUTE, { ...greedy, response_format })
    expect(status).toBe(400)
    expect(json.error.param).toStartWith(param)
  })
})

describe('tools', () => {
  const schema = { type: 'object', properties: { n: { enum: [1, 2] } }, required: ['n'] }
  const tools = ['one', 'two'].map((name) => ({
    ...{ type: 'function', function: { name, parameters: schema } },
  }))
  const forced = { ...greedy, max_tokens: 120, tools, parallel_tool_calls: false }

  test.each<[string, unknown, string[]]>([
    ['required', 'required', ['one', 'two']],
    ['named', { type: 'function', function: { name: 'two' } }, ['two']],
  ])('%s: one call, whole and streamed', async (_, tool_choice, names) => {
    const body = { ...forced, tool_choice }
    const { message } = await choiceOf(body)
    expect(message.content ?? '').toBe('')
    expect(message.tool_calls).toHaveLength(1)
    const [{ function: call }] = message.tool_calls
    expect(names).toContain(call.name)
    expect([1, 2]).toContain(JSON.parse(call.arguments).n)

    const deltas = (await client.stream(ROUTE, body))
      .flatMap(({ choices }) => choices)
      .flatMap(({ delta }) => delta.tool_calls ?? [])
    expect(deltas[0]).toMatchObject({ index: 0, type: 'function', id: expect.any(String) })
    expect(deltas.map((delta) => delta.function.name ?? '').join('')).toBe(call.name)
    expect(deltas.map((delta) => delta.function.arguments ?? '').join('')).toBe(call.arguments)
  })

  test('none: no call', async () => {
    const { message } = await choiceOf({ tools, tool_choice: 'none' })
    expect(message).not.toContainKey('tool_calls')
  })

  test.each<[string, object, string]>([
    ['a choice without tools', { tool_choice: 'required' }, 'tool_choice'],
    ['a choice of none of them', { tools, tool_choice: { type: 'function' } }, 'tool_choice'],
    ['an unknown choice', { tools, tool_choice: 'perhaps' }, 'tool_choice'],
    ['a tool without a name', { tools: [{ type: 'function', function: {} }] }, 'tools'],
    ['tools that are no list', { tools: {} }, 'tools'],
    ['functions', { functions: [{ name: 'one' }] }, 'functions'],
  ])('%s', async (_, fields, param) => {
    const { status, json } = await client.post(ROUTE, { ...greedy, ...fields })
    expect(status).toBe(400)
    expect(json.error.param).toStartWith(param)
  })
})

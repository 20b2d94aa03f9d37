// The Responses API by the official client, `openai`.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type OpenAI from 'openai'
import { BadRequestError, NotFoundError } from 'openai'
import { zodTextFormat } from 'openai/helpers/zod'
import { z } from 'zod'
import { startChatServer } from '../helpers/chat-server.ts'
import { openaiClient } from '../helpers/openai-client.ts'
import type { ServerProcess } from '../helpers/server.ts'

setDefaultTimeout(60_000)

const greedy = { model: 'tales-gla-5m', max_output_tokens: 12, temperature: 0 }
const input = 'Tell me a tale.'
const Hero = z.object({ name: z.enum(['Ann', 'Tom']), brave: z.boolean() })

let server: ServerProcess
let client: OpenAI

beforeAll(async () => {
  server = await startChatServer()
  client = openaiClient(server)
})

afterAll(() => server?.[Symbol.asyncDispose]())

describe('responses.create', () => {
  test('answers with a message and usage', async () => {
    const response = await client.responses.create({ ...greedy, input })
    expect(response.id).toStartWith('resp_')
    expect(response).toMatchObject({
      ...{ object: 'response', status: 'incomplete', previous_response_id: null, error: null },
      incomplete_details: { reason: 'max_output_tokens' },
    })
    expect(response.output).toHaveLength(1)
    expect(response.output_text.length).toBeGreaterThan(0)
    expect(response.usage!.output_tokens).toBe(12)
    const { input_tokens, output_tokens, total_tokens } = response.usage!
    expect(total_tokens).toBe(input_tokens + output_tokens)
    expect(response._request_id).toBeTruthy()
  })

  test('is the chat of its input', async () => {
    const response = await client.responses.create({
      ...{ ...greedy, input, instructions: 'You tell tales.' },
    })
    const chat = await client.chat.completions.create({
      ...{ model: greedy.model, temperature: 0, max_completion_tokens: 12 },
      messages: [
        { role: 'system', content: 'You tell tales.' },
        { role: 'user', content: input },
      ],
    })
    expect(response.output_text).toBe(chat.choices[0].message.content!)
    expect(response.usage!.input_tokens).toBe(chat.usage!.prompt_tokens)
  })

  test('streams the same text in numbered events', async () => {
    const whole = await client.responses.create({ ...greedy, input })
    const types: string[] = []
    let text = ''
    let last: OpenAI.Responses.Response | undefined
    for await (const event of await client.responses.create({ ...greedy, input, stream: true })) {
      if (types.at(-1) !== event.type) types.push(event.type)
      if (event.type === 'response.output_text.delta') text += event.delta
      if (event.type === 'response.incomplete') last = event.response
    }
    expect(types).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.incomplete',
    ])
    expect(text).toBe(whole.output_text)
    expect(last!.usage!.output_tokens).toBe(12)
  })

  test('log-probabilities', async () => {
    const include: OpenAI.Responses.ResponseIncludable[] = ['message.output_text.logprobs']
    const response = await client.responses.create({ ...greedy, input, include, top_logprobs: 2 })
    const [item] = response.output
    if (item.type !== 'message') throw new Error(`an output of type ${item.type}`)
    const [part] = item.content
    if (part.type !== 'output_text') throw new Error(`a part of type ${part.type}`)
    expect(part.logprobs!.map(({ token }) => token).join('')).toBe(response.output_text)
    expect(part.logprobs!.every(({ top_logprobs: top }) => top.length === 2)).toBe(true)
  })

  test.each<[string, object, string]>([
    ['no input', {}, 'input'],
    ['a number for an item', { input: [5] }, 'input'],
    ['an unknown item', { input: [{ type: 'web_search_call' }] }, 'input'],
    ['an image', { input: [{ role: 'user', content: [{ type: 'input_image' }] }] }, 'input'],
    ['a run in the background', { input, background: true }, 'background'],
  ])('refuses %s', async (_, more, param) => {
    const error = await client.responses.create({ ...greedy, ...more } as never).catch((e) => e)
    expect(error).toBeInstanceOf(BadRequestError)
    expect(error.param).toStartWith(param)
  })
})

describe('conversations', () => {
  const question = 'And then?'

  test('previous_response_id continues where the answer ended, on its kept state', async () => {
    const first = await client.responses.create({ ...greedy, input })
    const second = await client.responses.create({
      ...{ ...greedy, input: question, previous_response_id: first.id },
    })
    const whole = await client.responses.create({
      ...greedy,
      input: [
        { role: 'user', content: input },
        { role: 'assistant', content: first.output_text },
        { role: 'user', content: question },
      ],
    })
    expect(second.previous_response_id).toBe(first.id)
    expect(second.output_text).toBe(whole.output_text)
    expect(second.usage!.input_tokens).toBe(whole.usage!.input_tokens)
    const { cached_tokens } = second.usage!.input_tokens_details
    expect(cached_tokens).toBeGreaterThanOrEqual(first.usage!.input_tokens)
  })

  test('instructions are not carried over', async () => {
    const instructions = 'You tell tales of wolves and of nothing else.'
    const first = await client.responses.create({ ...greedy, input, instructions })
    const more = { input: question, previous_response_id: first.id }
    const bare = await client.responses.create({ ...greedy, ...more })
    const again = await client.responses.create({ ...greedy, ...more, instructions })
    expect(again.usage!.input_tokens).toBeGreaterThan(bare.usage!.input_tokens + 5)
  })

  test('a response can be fetched and deleted', async () => {
    const response = await client.responses.create({ ...greedy, input })
    const fetched = await client.responses.retrieve(response.id)
    expect(fetched).toMatchObject({ id: response.id, output: response.output })
    const items = await Array.fromAsync(await client.responses.inputItems.list(response.id))
    expect(items).toMatchObject([{ type: 'message', role: 'user' }])
    await client.responses.delete(response.id)
    const error = await client.responses.retrieve(response.id).catch((e) => e)
    expect(error).toBeInstanceOf(NotFoundError)
  })

  test('with store: false nothing is kept', async () => {
    const { id } = await client.responses.create({ ...greedy, input, store: false })
    expect(await client.responses.retrieve(id).catch((e) => e)).toBeInstanceOf(NotFoundError)
    for (const previous_response_id of [id, 'resp_nonesuch']) {
      const body = { ...greedy, input: question, previous_response_id }
      const error = await client.responses.create(body).catch((e) => e)
      expect(error.status).toBeOneOf([400, 404])
      expect(error.param).toBe('previous_response_id')
    }
  })
})

describe('formats and tools', () => {
  const bounded = { ...greedy, input, max_output_tokens: 120 }

  test('responses.parse', async () => {
    const text = { format: zodTextFormat(Hero, 'hero') }
    const response = await client.responses.parse({ ...bounded, text })
    expect(response.status).toBe('completed')
    expect(Hero.parse(response.output_parsed)).toEqual(JSON.parse(response.output_text))
  })

  test('responses.stream', async () => {
    const text = { format: zodTextFormat(Hero, 'hero') }
    const stream = client.responses.stream({ ...bounded, text })
    const deltas: string[] = []
    stream.on('response.output_text.delta', ({ delta }) => void deltas.push(delta))
    const response = await stream.finalResponse()
    expect(deltas.join('')).toBe(response.output_text)
    expect(Hero.parse(response.output_parsed)).toBeDefined()
  })

  test('a call that is required, and its result', async () => {
    const tools: OpenAI.Responses.Tool[] = [
      {
        ...{ type: 'function' as const, name: 'praise', strict: true },
        parameters: z.toJSONSchema(Hero) as Record<string, unknown>,
      },
    ]
    const required = { tools, tool_choice: 'required' as const, parallel_tool_calls: false }
    const first = await client.responses.create({ ...bounded, ...required })
    const [call] = first.output
    if (call.type !== 'function_call') throw new Error(`an output of type ${call.type}`)
    expect(call.name).toBe('praise')
    expect(Hero.parse(JSON.parse(call.arguments))).toBeDefined()
    const result = { type: 'function_call_output' as const, call_id: call.call_id, output: 'done' }
    const second = await client.responses.create({
      ...{ ...greedy, tools, input: [result], previous_response_id: first.id },
    })
    expect(second.usage!.input_tokens).toBeGreaterThan(first.usage!.input_tokens)
  })
})

// Chats by the official client, `openai`: replies, streams, its helpers for streams, schemas, tools.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type OpenAI from 'openai'
import { BadRequestError } from 'openai'
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod'
import { z } from 'zod'
import { startChatServer } from '../helpers/chat-server.ts'
import { openaiClient } from '../helpers/openai-client.ts'
import type { ServerProcess } from '../helpers/server.ts'

setDefaultTimeout(60_000)

let server: ServerProcess
let client: OpenAI

const messages: OpenAI.ChatCompletionMessageParam[] = [
  { role: 'system', content: 'You tell tales.' },
  { role: 'user', content: [{ type: 'text', text: 'Tell me one.' }] },
]
const greedy = { model: 'tales-gla-5m', messages, max_completion_tokens: 12, temperature: 0 }
const Hero = z.object({ name: z.enum(['Ann', 'Tom']), brave: z.boolean() })
const hero = zodResponseFormat(Hero, 'hero')

beforeAll(async () => {
  server = await startChatServer()
  client = openaiClient(server)
})

afterAll(() => server?.[Symbol.asyncDispose]())

describe('chat.completions.create', () => {
  test('answers with a message and usage', async () => {
    const reply = await client.chat.completions.create(greedy)
    expect(reply.id).toStartWith('chatcmpl-')
    const [choice] = reply.choices
    expect(choice).toMatchObject({ index: 0, finish_reason: 'length', logprobs: null })
    expect(choice.message).toMatchObject({ role: 'assistant', refusal: null })
    expect(choice.message.content!.length).toBeGreaterThan(0)
    expect(reply.usage!.completion_tokens).toBe(12)
    expect(reply._request_id).toBeTruthy()
  })

  test('streams the same text, with the same log-probabilities', async () => {
    const body = { ...greedy, logprobs: true, top_logprobs: 3 }
    const whole = await client.chat.completions.create(body)
    const stream = await client.chat.completions.create({
      ...{ ...body, stream: true },
      stream_options: { include_usage: true },
    })
    let text = ''
    const tokens: OpenAI.ChatCompletionTokenLogprob[] = []
    let usage: OpenAI.CompletionUsage | null | undefined
    for await (const chunk of stream) {
      usage = chunk.usage
      text += chunk.choices[0]?.delta.content ?? ''
      tokens.push(...(chunk.choices[0]?.logprobs?.content ?? []))
    }
    expect(text).toBe(whole.choices[0].message.content!)
    expect(tokens).toEqual(whole.choices[0].logprobs!.content!)
    expect(tokens).toHaveLength(12)
    for (const { logprob, bytes, top_logprobs: top } of tokens) {
      expect(logprob).toBeLessThanOrEqual(0)
      expect(top).toHaveLength(3)
      expect(top[0].logprob).toBeCloseTo(logprob, 5)
      expect(bytes!.length).toBeGreaterThan(0)
    }
    expect(Buffer.from(tokens.flatMap(({ bytes }) => bytes!)).toString()).toBe(text)
    expect(usage!.completion_tokens).toBe(12)
  })

  test('gives several samples, streamed or not', async () => {
    const body = { ...greedy, temperature: 1, seed: 11, n: 2 }
    const whole = await client.chat.completions.create(body)
    expect(whole.choices.map(({ index }) => index)).toEqual([0, 1])
    const texts = ['', '']
    for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
      for (const { index, delta } of chunk.choices) texts[index] += delta.content ?? ''
    }
    expect(texts).toEqual(whole.choices.map(({ message }) => message.content!))
    expect(texts[0]).not.toBe(texts[1])
  })

  test('continues a message of the assistant', async () => {
    const begun: typeof messages = [...messages, { role: 'assistant', content: 'Once upon a' }]
    const more = { add_generation_prompt: false, continue_final_message: true }
    const reply = await client.chat.completions.create({ ...greedy, messages: begun, ...more })
    expect(reply.choices[0].message.content).toMatch(/^ time/)
  })

  test.each<[string, object, string]>([
    ['no messages', { messages: [] }, 'messages'],
    ['a number for a message', { messages: [123] }, 'messages'],
    ['an image', { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, 'messages'],
    ['top_logprobs alone', { top_logprobs: 2 }, 'top_logprobs'],
    ['tool_choice without tools', { tool_choice: 'required' }, 'tool_choice'],
    ['audio', { modalities: ['audio'] }, 'modalities'],
  ])('refuses %s', async (_, more, param) => {
    const error = await client.chat.completions.create({ ...greedy, ...more }).catch((e) => e)
    expect(error).toBeInstanceOf(BadRequestError)
    expect(error.param).toStartWith(param)
  })
})

describe('chat.completions.stream', () => {
  test('collects the message and the usage', async () => {
    const runner = client.chat.completions.stream({
      ...greedy,
      stream_options: { include_usage: true },
    })
    const deltas: string[] = []
    runner.on('content', (delta) => void deltas.push(delta))
    const final = await runner.finalChatCompletion()
    expect(deltas.length).toBeGreaterThan(1)
    expect(deltas.join('')).toBe(final.choices[0].message.content!)
    expect(final.choices[0].finish_reason).toBe('length')
    expect((await runner.totalUsage()).completion_tokens).toBe(12)
  })

  test('parses what a schema allows', async () => {
    const runner = client.chat.completions.stream({
      ...{ ...greedy, max_completion_tokens: 80 },
      response_format: hero,
    })
    const final = await runner.finalChatCompletion()
    expect(Hero.parse(final.choices[0].message.parsed)).toBeDefined()
  })

  test('can be aborted', async () => {
    const endless = { ...greedy, max_completion_tokens: 100_000, ignore_eos: true }
    const runner = client.chat.completions.stream(endless)
    runner.on('content', () => runner.abort())
    await expect(runner.done()).rejects.toThrow()
    expect(runner.aborted).toBe(true)
  })
})

describe('chat.completions.parse', () => {
  test('gives an object of the schema', async () => {
    const reply = await client.chat.completions.parse({
      ...{ ...greedy, max_completion_tokens: 80 },
      response_format: hero,
    })
    expect(reply.choices[0].finish_reason).toBe('stop')
    expect(Hero.parse(reply.choices[0].message.parsed)).toEqual(
      JSON.parse(reply.choices[0].message.content!),
    )
  })

  test('gives the arguments of a call that is required', async () => {
    const tool = zodFunction({ name: 'praise', parameters: Hero })
    const reply = await client.chat.completions.parse({
      ...{ ...greedy, max_completion_tokens: 120, tools: [tool] },
      ...{ tool_choice: 'required', parallel_tool_calls: false },
    })
    const [choice] = reply.choices
    expect(choice.finish_reason).toBe('tool_calls')
    const [call] = choice.message.tool_calls!
    if (call.type !== 'function') throw new Error(`a call of a ${call.type}`)
    expect(call.function.name).toBe('praise')
    expect(Hero.parse(call.function.parsed_arguments)).toBeDefined()
  })
})

describe('tools', () => {
  const tools: OpenAI.ChatCompletionTool[] = [
    {
      type: 'function',
      function: { name: 'weather', parameters: { type: 'object', properties: {} } },
    },
  ]

  test('are shown by the template', async () => {
    const without = await client.chat.completions.create(greedy)
    const shown = await client.chat.completions.create({ ...greedy, tools })
    const hidden = await client.chat.completions.create({ ...greedy, tools, tool_choice: 'none' })
    expect(shown.usage!.prompt_tokens).toBeGreaterThan(without.usage!.prompt_tokens + 20)
    expect(hidden.choices[0].message.tool_calls).toBeUndefined()
  })

  test('calls and their results can be sent back', async () => {
    const call = {
      id: 'call_1',
      type: 'function' as const,
      function: { name: 'weather', arguments: '{}' },
    }
    const reply = await client.chat.completions.create({
      ...{ ...greedy, tools },
      messages: [
        ...messages,
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: 'call_1', content: 'rain' },
      ],
    })
    expect(reply.usage!.completion_tokens).toBe(12)
  })

  test('a choice of none that is listed is refused', async () => {
    const choice = { type: 'function' as const, function: { name: 'nonesuch' } }
    const error = await client.chat.completions
      .create({ ...greedy, tools, tool_choice: choice })
      .catch((e) => e)
    expect(error).toBeInstanceOf(BadRequestError)
    expect(error.param).toStartWith('tool_choice')
  })
})

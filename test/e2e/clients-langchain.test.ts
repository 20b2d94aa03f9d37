// LangChain's models over OpenAI's API, `@langchain/openai`, against the real server.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { ChatOpenAI, OpenAI } from '@langchain/openai'
import { z } from 'zod'
import { startChatServer } from '../helpers/chat-server.ts'
import { checkingFetch } from '../helpers/checking-fetch.ts'
import type { ServerProcess } from '../helpers/server.ts'

setDefaultTimeout(60_000)

const Hero = z.object({ name: z.enum(['Ann', 'Tom']), brave: z.boolean() })

let server: ServerProcess

beforeAll(async () => {
  // Whatever the machine's own settings are, nothing is traced to another place.
  process.env.LANGSMITH_TRACING = 'false'
  process.env.LANGCHAIN_TRACING_V2 = 'false'
  server = await startChatServer()
})

afterAll(() => server?.[Symbol.asyncDispose]())

/** What every model of these tests is given. */
function options(maxTokens: number) {
  const configuration = { baseURL: `${server.url}/v1`, fetch: checkingFetch() }
  const model = 'tales-gla-5m'
  return { model, apiKey: 'none', maxRetries: 0, temperature: 0, maxTokens, configuration }
}

describe('OpenAI', () => {
  const prompt = 'Once upon a time'

  test('invoke and stream give the same text', async () => {
    const model = new OpenAI(options(12))
    const text = await model.invoke(prompt)
    expect(text.length).toBeGreaterThan(0)
    const parts = await Array.fromAsync(await model.stream(prompt))
    expect(parts.join('')).toBe(text)
  })

  test('generate: several prompts, several samples, usage', async () => {
    const model = new OpenAI({ ...options(6), temperature: 1, n: 2 })
    const { generations, llmOutput } = await model.generate([prompt, 'The king said'])
    expect(generations.map((samples) => samples.length)).toEqual([2, 2])
    expect(llmOutput!.tokenUsage.completionTokens).toBe(24)
    expect(generations[0][0].generationInfo!.finishReason).toBe('length')
  })

  test('stop', async () => {
    const model = new OpenAI(options(40))
    const text = await model.invoke(prompt, { stop: [' a '] })
    expect(text).not.toContain(' a ')
  })
})

describe('ChatOpenAI', () => {
  const messages = [new SystemMessage('You tell tales.'), new HumanMessage('Tell me one.')]

  test('invoke: content, usage, finish reason', async () => {
    const reply = await new ChatOpenAI(options(12)).invoke(messages)
    expect(reply.text.length).toBeGreaterThan(0)
    expect(reply.usage_metadata!.output_tokens).toBe(12)
    expect(reply.response_metadata).toMatchObject({ finish_reason: 'length' })
    expect(reply.id).toStartWith('chatcmpl-')
  })

  test('stream gives the same text, and the usage', async () => {
    const model = new ChatOpenAI(options(12))
    const whole = await model.invoke(messages)
    const chunks = await Array.fromAsync(await model.stream(messages))
    expect(chunks.map(({ text }) => text).join('')).toBe(whole.text)
    const total = chunks.reduce((a, b) => a.concat(b))
    expect(total.usage_metadata!.output_tokens).toBe(12)
  })

  test('logprobs', async () => {
    const model = new ChatOpenAI({ ...options(4), logprobs: true, topLogprobs: 2 })
    const { response_metadata } = await model.invoke(messages)
    const { content } = response_metadata.logprobs as { content: { top_logprobs: unknown[] }[] }
    expect(content.map((token) => token.top_logprobs.length)).toEqual([2, 2, 2, 2])
  })

  test.each(['jsonSchema', 'functionCalling'] as const)(
    'withStructuredOutput by %s',
    async (method) => {
      const model = new ChatOpenAI(options(120))
      const structured = model.withStructuredOutput(Hero, { name: 'hero', method })
      expect(Hero.parse(await structured.invoke(messages))).toBeDefined()
    },
  )

  test('bindTools: a call, and its result sent back', async () => {
    const praise = tool(() => 'done', { name: 'praise', description: 'Praises.', schema: Hero })
    const model = new ChatOpenAI(options(120))
    const call = await model.bindTools([praise], { tool_choice: 'praise' }).invoke(messages)
    expect(call.tool_calls).toHaveLength(1)
    const [{ name, args, id }] = call.tool_calls!
    expect(name).toBe('praise')
    expect(Hero.parse(args)).toBeDefined()
    const result = new ToolMessage({ content: 'done', tool_call_id: id! })
    const last = await model.bindTools([praise]).invoke([...messages, call, result])
    expect(last.usage_metadata!.output_tokens).toBeGreaterThan(0)
  })
})

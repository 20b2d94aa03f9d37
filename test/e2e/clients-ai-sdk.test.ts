// The `ai` library over `@ai-sdk/openai-compatible` against the real server.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { APICallError, generateObject, generateText, Output, streamText, tool } from 'ai'
import { z } from 'zod'
import { startChatServer } from '../helpers/chat-server.ts'
import { checkingFetch } from '../helpers/checking-fetch.ts'
import type { ServerProcess } from '../helpers/server.ts'

setDefaultTimeout(60_000)

const MODEL = 'tales-gla-5m'
const Hero = z.object({ name: z.enum(['Ann', 'Tom']), age: z.number().int().min(1).max(99) })
const common = { maxRetries: 0, temperature: 0, maxOutputTokens: 12 }
const prompt = 'Tell me a tale.'

let server: ServerProcess
let provider: ReturnType<typeof createOpenAICompatible>

beforeAll(async () => {
  Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false })
  server = await startChatServer()
  provider = createOpenAICompatible({
    ...{ name: 'glaze', baseURL: `${server.url}/v1`, includeUsage: true },
    ...{ supportsStructuredOutputs: true, fetch: checkingFetch() },
  })
})

afterAll(() => server?.[Symbol.asyncDispose]())

// The library flattens a chat into one text for models that only complete.
describe.each(['chatModel', 'completionModel'] as const)('%s', (kind) => {
  const model = () => provider[kind](MODEL)

  test('generateText', async () => {
    const { text, finishReason, usage } = await generateText({
      ...{ ...common, model: model(), prompt },
    })
    expect(text.length).toBeGreaterThan(0)
    expect(finishReason).toBe('length')
    expect(usage.outputTokens).toBe(12)
    expect(usage.inputTokens).toBeGreaterThan(5)
  })

  test('streamText gives the same text', async () => {
    const whole = await generateText({ ...common, model: model(), prompt })
    const stream = streamText({ ...common, model: model(), prompt })
    const parts = await Array.fromAsync(stream.textStream)
    expect(parts.length).toBeGreaterThan(1)
    expect(parts.join('')).toBe(whole.text)
    expect(await stream.finishReason).toBe('length')
    expect((await stream.usage).outputTokens).toBe(12)
  })

  test('a stream that is aborted ends', async () => {
    const controller = new AbortController()
    const endless = { ...common, maxOutputTokens: 100_000, abortSignal: controller.signal }
    const stream = streamText({ ...endless, model: model(), prompt })
    let isAborted = false
    for await (const part of stream.fullStream) {
      if (part.type === 'text-delta') controller.abort()
      if (part.type === 'abort') isAborted = true
    }
    expect(isAborted).toBe(true)
  })

  test('an unknown model is an error with the server’s words', async () => {
    const model = provider[kind]('nonesuch')
    const error = await generateText({ ...common, model, prompt }).catch((e) => e)
    expect(error).toBeInstanceOf(APICallError)
    expect(error).toMatchObject({ statusCode: 404, isRetryable: false })
    expect(error.message).toContain('"nonesuch" is not served')
  })
})

describe('structured output', () => {
  const bounded = { ...common, maxOutputTokens: 80, prompt }

  test('generateText with an object', async () => {
    const { output, finishReason } = await generateText({
      ...{ ...bounded, model: provider.chatModel(MODEL) },
      output: Output.object({ schema: Hero }),
    })
    expect(finishReason).toBe('stop')
    expect(Hero.parse(output)).toBeDefined()
  })

  test('streamText with an object', async () => {
    const stream = streamText({
      ...{ ...bounded, model: provider.chatModel(MODEL) },
      output: Output.object({ schema: Hero }),
    })
    const partial = await Array.fromAsync(stream.partialOutputStream)
    expect(Hero.parse(partial.at(-1))).toEqual(await stream.output)
  })

  test('generateObject', async () => {
    const model = provider.chatModel(MODEL)
    const { object } = await generateObject({ ...bounded, model, schema: Hero })
    expect(Hero.parse(object)).toBeDefined()
    const choice = await generateObject({
      ...{ ...bounded, model, output: 'enum' as const, enum: ['north', 'south'] },
    })
    expect(['north', 'south']).toContain(choice.object)
  })
})

test('tools: a call that is required runs', async () => {
  const seen: unknown[] = []
  const praise = tool({
    description: 'Praises a hero.',
    inputSchema: Hero,
    execute: async (hero) => {
      seen.push(hero)
      return 'done'
    },
  })
  const { toolCalls, toolResults, finishReason } = await generateText({
    ...{ ...common, maxOutputTokens: 120, prompt, model: provider.chatModel(MODEL) },
    ...{ tools: { praise }, toolChoice: 'required' as const },
    providerOptions: { glaze: { parallel_tool_calls: false } },
  })
  expect(finishReason).toBe('tool-calls')
  expect(toolCalls[0]).toMatchObject({ toolName: 'praise' })
  expect(toolResults[0]).toMatchObject({ output: 'done' })
  expect(Hero.parse(seen[0])).toBeDefined()
})

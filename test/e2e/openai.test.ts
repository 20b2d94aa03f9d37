// The official client against the real server.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import OpenAI, { BadRequestError, NotFoundError } from 'openai'
import { type ServerProcess, startServer } from '../helpers/server.ts'

const PROMPT = 'Once upon a time there was a'

let server: ServerProcess
let client: OpenAI
let model: string

beforeAll(async () => {
  server = await startServer()
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 })
  model = (await client.models.list()).data[0].id
}, 60_000)

afterAll(() => server?.[Symbol.asyncDispose](), 60_000)

describe('models', () => {
  test('can be listed and retrieved', async () => {
    expect(await client.models.retrieve(model)).toMatchObject({ id: model, object: 'model' })
  })
})

describe('completions.create', () => {
  const greedy = { prompt: PROMPT, max_tokens: 12, temperature: 0 }

  test('answers with text, usage and a request id', async () => {
    const reply = await client.completions.create({ model, ...greedy })
    expect(reply.id).toStartWith('cmpl-')
    expect(reply).toMatchObject({ object: 'text_completion', model })
    expect(reply.choices.length).toBe(1)
    expect(reply.choices[0]).toMatchObject({ index: 0, finish_reason: 'length', logprobs: null })
    expect(reply.choices[0].text.length).toBeGreaterThan(0)
    expect(reply.usage!.completion_tokens).toBe(12)
    expect(reply.usage!.total_tokens).toBe(reply.usage!.prompt_tokens + 12)
    expect(reply._request_id).toBeTruthy()
  })

  test('streams the same text', async () => {
    const whole = await client.completions.create({ model, ...greedy })
    const stream = await client.completions.create({
      ...{ model, ...greedy, stream: true },
      stream_options: { include_usage: true },
    })
    let text = ''
    const reasons: (string | null)[] = []
    let usage: OpenAI.CompletionUsage | null | undefined
    const ids = new Set<string>()
    for await (const chunk of stream) {
      ids.add(chunk.id)
      usage = chunk.usage
      for (const choice of chunk.choices) {
        text += choice.text
        reasons.push(choice.finish_reason)
      }
    }
    expect(text).toBe(whole.choices[0].text)
    expect(reasons.at(-1)).toBe('length')
    expect(reasons.slice(0, -1).every((reason) => reason === null)).toBe(true)
    expect(usage).toMatchObject({
      prompt_tokens: whole.usage!.prompt_tokens,
      completion_tokens: whole.usage!.completion_tokens,
      // The first request left its state behind.
      prompt_tokens_details: { cached_tokens: whole.usage!.prompt_tokens },
    })
    expect(ids.size).toBe(1)
  })

  test('takes several prompts and samples; a seed repeats them', async () => {
    const body = {
      ...{ model, prompt: [PROMPT, 'The king said'], n: 2, max_tokens: 8 },
      ...{ temperature: 1, seed: 5 },
    }
    const first = await client.completions.create(body)
    const texts = first.choices.map((choice) => choice.text)
    expect(first.choices.map((choice) => choice.index)).toEqual([0, 1, 2, 3])
    expect(texts[0]).not.toBe(texts[1])
    expect(texts[2]).not.toBe(texts[3])
    expect(first.usage!.completion_tokens).toBeLessThanOrEqual(32)
    const second = await client.completions.create(body)
    expect(second.choices.map((choice) => choice.text)).toEqual(texts)
  })

  test('takes token ids and ends at a stop string', async () => {
    const whole = await client.completions.create({ model, ...greedy, prompt: [1, 300, 301] })
    const words = whole.choices[0].text
    const stop = words.slice(Math.floor(words.length / 2), Math.floor(words.length / 2) + 2)
    const cut = await client.completions.create({ model, ...greedy, prompt: [1, 300, 301], stop })
    expect(cut.choices[0].text).toBe(words.slice(0, words.indexOf(stop)))
    expect(cut.choices[0].finish_reason).toBe('stop')
  })

  test('a stream that is left early leaves the server able to answer', async () => {
    for (let i = 0; i < 5; i++) {
      const stream = await client.completions.create({
        ...{ model, prompt: PROMPT, max_tokens: 100_000, ignore_eos: true, stream: true },
      })
      for await (const _chunk of stream) break
    }
    const reply = await client.completions.create({ model, ...greedy })
    expect(reply.usage!.completion_tokens).toBe(12)
  })
})

describe('errors', () => {
  test('have the class, param and code that the client expects', async () => {
    const bad = client.completions.create({ model, prompt: 'x', temperature: 3 })
    const error = await bad.then(
      () => undefined,
      (reason) => reason,
    )
    expect(error).toBeInstanceOf(BadRequestError)
    expect(error).toMatchObject({
      status: 400,
      param: 'temperature',
      type: 'invalid_request_error',
    })
    expect(error.requestID).toBeTruthy()
  })

  test('an unknown model is not found', async () => {
    const bad = client.completions.create({ model: 'no-such-model', prompt: 'x' })
    const error = await bad.then(
      () => undefined,
      (reason) => reason,
    )
    expect(error).toBeInstanceOf(NotFoundError)
    expect(error).toMatchObject({ code: 'model_not_found', param: 'model' })
  })
})

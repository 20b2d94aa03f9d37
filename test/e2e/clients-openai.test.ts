// The official client, `openai`, against the real server: models, completions, streams, errors.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type OpenAI from 'openai'
import { APIUserAbortError, BadRequestError, NotFoundError } from 'openai'
import { openaiClient } from '../helpers/openai-client.ts'
import { type ServerProcess, startServer } from '../helpers/server.ts'

setDefaultTimeout(60_000)

const PROMPT = 'Once upon a time there was a'

let server: ServerProcess
let client: OpenAI
let model: string

beforeAll(async () => {
  server = await startServer()
  client = openaiClient(server)
  model = (await client.models.list()).data[0].id
})

afterAll(() => server?.[Symbol.asyncDispose]())

test('models can be listed and retrieved', async () => {
  expect(await client.models.retrieve(model)).toMatchObject({ id: model, object: 'model' })
  const ids: string[] = []
  for await (const each of client.models.list()) ids.push(each.id)
  expect(ids).toEqual([model])
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
    for await (const chunk of stream) {
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
  })

  test('scores a prompt: echo with logprobs', async () => {
    const { choices } = await client.completions.create({
      ...{ model, prompt: PROMPT, max_tokens: 3, temperature: 0, echo: true, logprobs: 2 },
    })
    const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0].logprobs!
    expect(choices[0].text).toStartWith(PROMPT)
    // The vocabulary writes a word at the beginning of a text like one after a space.
    expect(tokens!.slice(1).join('')).toBe(` ${choices[0].text}`)
    expect(token_logprobs![0]).toBeNull()
    expect(token_logprobs!.slice(1).every((logprob) => logprob <= 0)).toBe(true)
    expect(top_logprobs!.slice(1).every((top) => Object.keys(top).length >= 2)).toBe(true)
    expect(text_offset![0]).toBe(0)
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

  test('a request that is aborted rejects at once', async () => {
    const controller = new AbortController()
    const endless = { model, prompt: PROMPT, max_tokens: 100_000, ignore_eos: true }
    const reply = client.completions.create(endless, { signal: controller.signal })
    controller.abort()
    expect(await reply.catch((error) => error)).toBeInstanceOf(APIUserAbortError)
  })
})

describe('errors', () => {
  const fault = (promise: Promise<unknown>) =>
    promise.then(
      () => undefined,
      (reason) => reason,
    )

  test('have the class, param and code that the client expects', async () => {
    const error = await fault(client.completions.create({ model, prompt: 'x', temperature: 3 }))
    expect(error).toBeInstanceOf(BadRequestError)
    expect(error).toMatchObject({
      status: 400,
      param: 'temperature',
      type: 'invalid_request_error',
    })
    expect(error.requestID).toBeTruthy()
  })

  test('an unknown model is not found', async () => {
    for (const error of [
      await fault(client.completions.create({ model: 'no-such-model', prompt: 'x' })),
      await fault(client.models.retrieve('no-such-model')),
    ]) {
      expect(error).toBeInstanceOf(NotFoundError)
      expect(error).toMatchObject({ code: 'model_not_found', param: 'model' })
    }
  })

  test('a route that does not exist is not found', async () => {
    const error = await fault(client.embeddings.create({ model, input: 'x' }))
    expect(error).toBeInstanceOf(NotFoundError)
    expect(error.code).toBe('not_found')
  })

  test('a chat without a template says how to give one', async () => {
    const messages = [{ role: 'user' as const, content: 'x' }]
    const error = await fault(client.chat.completions.create({ model, messages }))
    expect(error).toBeInstanceOf(BadRequestError)
    expect(error.message).toContain('--chat-template')
  })
})

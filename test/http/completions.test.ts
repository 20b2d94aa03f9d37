import { describe, expect, test } from 'bun:test'
import { ApiError } from '../../src/errors.ts'
import { type Json, testApp } from './test-app.ts'

const json = async (response: Response): Promise<Json> => response.json()

describe('a whole reply', () => {
  test('has every key of the API', async () => {
    const { post } = testApp()
    const before = Math.floor(Date.now() / 1000)
    const response = await post(
      { model: 'alias', prompt: 'a b c', max_tokens: 3 },
      { headers: { 'content-type': 'application/json', 'x-request-id': 'id-1' } },
    )
    expect(response.status).toBe(200)
    const reply = await json(response)
    expect(reply).toEqual({
      id: 'cmpl-id-1',
      object: 'text_completion',
      created: expect.any(Number),
      model: 'alias',
      system_fingerprint: 'glaze-1.2.3-tales',
      choices: [{ index: 0, text: 'Once upon a', logprobs: null, finish_reason: 'length' }],
      usage: { prompt_tokens: 4, completion_tokens: 3, total_tokens: 7 },
    })
    expect(reply.created).toBeGreaterThanOrEqual(before)
    expect(reply.created).toBeLessThan(before + 10)
  })

  test('a request without a model gets the first name', async () => {
    const { post } = testApp()
    expect((await json(await post({ prompt: 'x' }))).model).toBe('tales')
  })

  test('text that came with the finish belongs to the choice', async () => {
    const { engine, post } = testApp({ words: 'manual' })
    const response = post({ prompt: 'x' })
    const [generation] = await engine.submitted(1)
    generation.emit('')
    generation.emit('Once')
    generation.finish('stop', ' upon')
    const reply = await json(await response)
    expect(reply.choices[0]).toMatchObject({ text: 'Once upon', finish_reason: 'stop' })
    expect(reply.usage.completion_tokens).toBe(2)
  })
})

describe('prompts', () => {
  test.each<[string, unknown, number[][]]>([
    ['a string', 'one three', [[1, 5, 7]]],
    ['a list of one string', ['one'], [[1, 5]]],
    ['a list of strings', ['one', 'three'], [[1, 5], [1, 7]]], // biome-ignore format: pairs
    ['token ids', [0, 4095], [[0, 4095]]],
    ['a list of token-id lists', [[9], [8, 7]], [[9], [8, 7]]], // biome-ignore format: pairs
  ])('%s', async (_name, prompt, expected) => {
    const { engine, post } = testApp()
    const reply = await json(await post({ prompt }))
    expect(engine.requests.map((request) => [...request.prompt])).toEqual(expected)
    expect(reply.choices.map((choice: Json) => choice.index)).toEqual(expected.map((_, i) => i))
    expect(reply.usage.prompt_tokens).toBe(expected.flat().length)
  })

  test('a prompt that the tokenizer turns into nothing is refused', async () => {
    const tokenizer = { vocabSize: 10, encode: (text: string) => (text === 'x' ? [1] : []) }
    const { engine, post } = testApp({ tokenizer })
    const response = await post({ prompt: ['x', '\u200b'] })
    expect(response.status).toBe(400)
    expect((await json(response)).error).toMatchObject({
      message: 'prompt.1 has no tokens',
      param: 'prompt.1',
    })
    expect(engine.generations).toEqual([])
  })
})

describe('n', () => {
  test('gives n choices per prompt, prompt by prompt, and counts each prompt once', async () => {
    const { engine, post } = testApp({ words: 'manual' })
    const response = post({ prompt: [[1], [2, 3]], n: 3 })
    const generations = await engine.submitted(6)
    generations.forEach((generation, index) => {
      generation.emit(`text ${index}`)
      generation.finish(index % 2 === 0 ? 'stop' : 'length')
    })
    const reply = await json(await response)
    expect(reply.choices).toEqual(
      generations.map((_, index) => ({
        index,
        text: `text ${index}`,
        logprobs: null,
        finish_reason: index % 2 === 0 ? 'stop' : 'length',
      })),
    )
    expect(engine.requests.map((request) => request.prompt.length)).toEqual([1, 1, 1, 2, 2, 2])
    expect(new Set(engine.requests.map((request) => request.id)).size).toBe(6)
    expect(reply.usage).toEqual({ prompt_tokens: 3, completion_tokens: 6, total_tokens: 9 })
  })

  test.each<[number, number[]]>([
    [5, [5, 6, 7]],
    [-1, [2 ** 53 - 1, 0, 1]],
    [2 ** 53 - 1, [2 ** 53 - 1, 0, 1]],
    [2 ** 63, [0, 1, 2]],
  ])('seed %p differs between samples, not between prompts', async (seed, seeds) => {
    const { engine, post } = testApp()
    await post({ prompt: ['a', 'b'], n: 3, seed })
    expect(engine.requests.map((request) => request.sampling.seed)).toEqual([...seeds, ...seeds])
  })

  test('samples without a seed stay without one', async () => {
    const { engine, post } = testApp()
    await post({ prompt: 'a', n: 2 })
    expect(engine.requests.map((request) => request.sampling.seed)).toEqual([undefined, undefined])
  })
})

describe('fields', () => {
  const submitted = async (body: object, options: Parameters<typeof testApp>[0] = {}) => {
    const { engine, post } = testApp(options)
    const response = await post({ prompt: 'x', ...body })
    expect(response.status).toBe(200)
    return engine.requests[0]
  }

  test('defaults', async () => {
    expect(await submitted({})).toMatchObject({
      maxTokens: 16,
      sampling: { temperature: 1, topP: 1, topK: 0, minP: 0, seed: undefined },
      stop: [],
      ignoreEos: false,
    })
  })

  test("the checkpoint's sampling is the default, and the request's goes before it", async () => {
    const sampling = { temperature: 0.8, topP: 0.9, topK: 40, minP: undefined }
    const { sampling: kept } = await submitted({}, { model: { sampling } })
    expect(kept).toEqual({ ...sampling, minP: 0, seed: undefined })
    const { sampling: set } = await submitted(
      { temperature: 0, top_p: 1, top_k: -1, min_p: 0.1 },
      { model: { sampling } },
    )
    expect(set).toEqual({ temperature: 0, topP: 1, topK: 0, minP: 0.1, seed: undefined })
  })

  test('null is as good as nothing', async () => {
    const names = [
      ...['model', 'max_tokens', 'temperature', 'top_p', 'top_k', 'min_p', 'n', 'best_of', 'seed'],
      ...['stop', 'stream', 'stream_options', 'ignore_eos', 'echo', 'logprobs', 'suffix', 'user'],
      ...['logit_bias', 'response_format', 'tools', 'presence_penalty', 'prompt_logprobs'],
    ]
    const nulls = Object.fromEntries(names.map((name) => [name, null]))
    expect(await submitted(nulls)).toMatchObject({ maxTokens: 16, stop: [], ignoreEos: false })
  })

  test.each<[object, object]>([
    [{ max_tokens: 0 }, { maxTokens: 0 }],
    [
      { max_tokens: 5, ignore_eos: true },
      { maxTokens: 5, ignoreEos: true },
    ],
    [{ stop: '\n' }, { stop: ['\n'] }],
    [{ stop: ['a', 'b', 'c', 'd'] }, { stop: ['a', 'b', 'c', 'd'] }],
    [{ stop: [] }, { stop: [] }],
    [{ n: 1, best_of: 1 }, {}],
  ])('%j', async (fields, expected) => {
    expect(await submitted(fields)).toMatchObject(expected)
  })

  test('values that ask for nothing, and fields that change nothing, are accepted', async () => {
    const { lines, post } = testApp({ logLevel: 'debug' })
    const response = await post({
      prompt: 'x',
      ...{ suffix: '', echo: false, logit_bias: {}, presence_penalty: 0, frequency_penalty: 0 },
      ...{ repetition_penalty: 1, min_tokens: 0, stop_token_ids: [], bad_words: [], tools: [] },
      ...{ response_format: { type: 'text' } },
      ...{ user: 'u', metadata: { a: 1 }, store: true, toString: 1, made_up: [1] },
    })
    expect(response.status).toBe(200)
    const ignored = lines.find((line) => line.message === 'ignored fields')
    expect(ignored.fields).toEqual(['user', 'metadata', 'store', 'toString', 'made_up'])
  })
})

describe('admission', () => {
  test('is atomic: a refusal aborts what was accepted before it', async () => {
    const { engine, post } = testApp({ words: 'manual' })
    engine.refuse = (request) => {
      if (request.prompt[0] === 3) {
        throw new ApiError(400, 'too long', { param: 'prompt', code: 'context_length_exceeded' })
      }
    }
    const response = await post({ prompt: [[1], [2], [3], [4], [5]] })
    expect(response.status).toBe(400)
    expect((await json(response)).error.code).toBe('context_length_exceeded')
    expect(engine.generations.map((generation) => generation.isAborted)).toEqual([true, true])
  })

  test('a full queue is 429 with a time to come back', async () => {
    const { engine, post } = testApp({ limits: { maxQueue: 5 } })
    engine.state = { ...engine.state, freeSlots: 0, running: 4, waiting: 4 }
    expect((await post({ prompt: 'x', n: 1 })).status).toBe(200)
    const response = await post({ prompt: 'x', n: 2 })
    expect(response.status).toBe(429)
    expect(response.headers.get('retry-after')).toBe('1')
    expect((await json(response)).error).toMatchObject({
      type: 'rate_limit_error',
      code: 'queue_full',
    })
    expect(engine.generations.length).toBe(1)
  })

  test('what could never be admitted is 400: a retry would not help', async () => {
    const { post } = testApp({ limits: { maxQueue: 5 } })
    expect((await post({ prompt: 'x', n: 9 })).status).toBe(200)
    const response = await post({ prompt: 'x', n: 10 })
    expect(response.status).toBe(400)
    expect((await json(response)).error).toMatchObject({ param: 'n' })
  })
})

describe('faults', () => {
  test('a broken engine is 500, ends the other choices and is logged with its stack', async () => {
    const { engine, lines, post } = testApp({ words: 'manual' })
    const pending = post({ prompt: ['a', 'b'] })
    const [first, second] = await engine.submitted(2)
    first.emit('Once')
    second.fail(new Error('secret detail'))
    const response = await pending
    expect(response.status).toBe(500)
    const { error } = await json(response)
    expect(error).toMatchObject({ type: 'server_error', code: 'internal_error', param: null })
    expect(error.message).toContain(response.headers.get('x-request-id'))
    expect(error.message).not.toContain('secret')
    expect(first.isAborted).toBe(true)
    const logged = lines.find((line) => line.level === 'error')
    expect(logged.error).toContain('secret detail')
    expect(logged.error).toContain('\n    at ')
    expect(lines.at(-1)).toMatchObject({ status: 500, finish: { error: 1, abort: 1 } })
  })

  test('a generation that ends without a finish is no answer', async () => {
    const { engine, post } = testApp({ words: 'manual' })
    const pending = post({ prompt: 'x' })
    const [generation] = await engine.submitted(1)
    generation.emit('Once')
    generation.end()
    const response = await pending
    expect(response.status).toBe(503)
    expect((await json(response)).error.code).toBe('request_aborted')
  })

  test('a client that left frees its slots and gets nothing', async () => {
    const { engine, lines, post } = testApp({ words: 'manual' })
    const client = new AbortController()
    const pending = post({ prompt: ['a', 'b'], n: 2 }, { signal: client.signal })
    const generations = await engine.submitted(4)
    client.abort()
    expect(generations.map((generation) => generation.isAborted)).toEqual([true, true, true, true])
    expect((await pending).status).toBe(499)
    expect(lines.at(-1)).toMatchObject({ status: 499, finish: { abort: 4 } })
  })
})

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
      choices: [
        {
          ...{ index: 0, text: 'Once upon a', logprobs: null },
          ...{ finish_reason: 'length', stop_reason: null },
        },
      ],
      usage: {
        ...{ prompt_tokens: 4, completion_tokens: 3, total_tokens: 7 },
        prompt_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
      },
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

  test('a full queue is told before a prompt is tokenized', async () => {
    let encoded = 0
    const tokenizer = {
      vocabSize: 4096,
      encode: (text: string) => (text === '' ? [] : [++encoded]),
    }
    const { engine, post } = testApp({ tokenizer, limits: { maxQueue: 5 } })
    engine.state = { ...engine.state, freeSlots: 0, running: 4, waiting: 5 }
    expect((await post({ prompt: ['x', 'y'] })).status).toBe(429)
    expect(encoded).toBe(0)
    engine.state = { ...engine.state, waiting: 3 }
    expect((await post({ prompt: ['x', 'y'] })).status).toBe(200)
    expect(encoded).toBe(2)
  })

  test('counts every sample that best_of asks for', async () => {
    const { engine, post } = testApp({ limits: { maxQueue: 5 } })
    engine.state = { ...engine.state, freeSlots: 0, running: 4, waiting: 2 }
    expect((await post({ prompt: 'x', best_of: 4 })).status).toBe(429)
    expect((await post({ prompt: 'x', best_of: 3 })).status).toBe(200)
  })

  // A retry would not help, so it is not 429.
  test.each<[string, object, string, string]>([
    ['samples', { n: 10 }, 'n', 'prompts times n is 10; at most 9'],
    ['samples to choose from', { n: 2, best_of: 10 }, 'best_of', 'prompts times best_of is 10'],
    ['prompts', { prompt: Array(5).fill('x'), n: 2 }, 'prompt', 'prompts times n is 10'],
  ])('too many %s for any queue are 400', async (_name, body, param, words) => {
    const { post } = testApp({ limits: { maxQueue: 5 } })
    expect((await post({ prompt: 'x', n: 9 })).status).toBe(200)
    const response = await post({ prompt: 'x', ...body })
    expect(response.status).toBe(400)
    const { error } = await json(response)
    expect(error.param).toBe(param)
    expect(error.message).toContain(words)
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

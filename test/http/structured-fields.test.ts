// Fields that shape an answer beyond its text: formats, banned words, truncation, ids, usage.

import { describe, expect, test } from 'bun:test'
import { ApiError } from '../../src/errors.ts'
import type { GrammarSpec } from '../../src/grammar/guide.ts'
import { type Json, readEvents, testApp } from './test-app.ts'

const json = async (response: Response): Promise<Json> => response.json()
const SCHEMA = { type: 'object', properties: { a: { type: 'integer' } } }

describe('structure', () => {
  test.each<[object, GrammarSpec, string]>([
    [{ response_format: { type: 'json_object' } }, { kind: 'json_object' }, 'response_format'],
    [
      { response_format: { type: 'json_object', schema: SCHEMA } },
      { kind: 'json_schema', schema: SCHEMA },
      'response_format.schema',
    ],
    [
      {
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'x', schema: SCHEMA, strict: null },
        },
      },
      { kind: 'json_schema', schema: SCHEMA },
      'response_format.json_schema.schema',
    ],
    [
      { structured_outputs: { json: SCHEMA, regex: null } },
      { kind: 'json_schema', schema: SCHEMA },
      'structured_outputs.json',
    ],
    [
      { structured_outputs: { json: JSON.stringify(SCHEMA) } },
      { kind: 'json_schema', schema: SCHEMA },
      'structured_outputs.json',
    ],
    [
      { structured_outputs: { json_object: true } },
      { kind: 'json_object' },
      'structured_outputs.json_object',
    ],
    [
      { structured_outputs: { regex: 'a+' } },
      { kind: 'regex', pattern: 'a+' },
      'structured_outputs.regex',
    ],
    [
      { structured_outputs: { choice: ['a', 'b'] } },
      { kind: 'choice', choices: ['a', 'b'] },
      'structured_outputs.choice',
    ],
    [
      { structured_outputs: { grammar: 'root ::= "a"' } },
      { kind: 'grammar', ebnf: 'root ::= "a"' },
      'structured_outputs.grammar',
    ],
  ])('%j', async (body, spec, param) => {
    const { engine, grammars, post } = testApp()
    expect((await post({ prompt: 'x', ...body })).status).toBe(200)
    expect(grammars.compiled).toEqual([{ spec, param }])
    expect(engine.requests[0].guide).toBeFunction()
  })

  test('text is no structure', async () => {
    const { engine, grammars, post } = testApp()
    expect((await post({ prompt: 'x', response_format: { type: 'text' } })).status).toBe(200)
    expect(grammars.compiled).toEqual([])
    expect(engine.requests[0].guide).toBeUndefined()
  })

  test('a specification that does not compile is 400, and nothing is submitted', async () => {
    const { engine, grammars, post } = testApp()
    grammars.refuse = (_, param) => {
      throw new ApiError(400, 'no such group', { param })
    }
    const response = await post({ prompt: 'x', structured_outputs: { regex: '(' } })
    expect(response.status).toBe(400)
    expect((await json(response)).error.param).toBe('structured_outputs.regex')
    expect(engine.generations).toEqual([])
  })

  test('those on their way to the queue are counted in it', async () => {
    const { engine, grammars, post } = testApp({ limits: { maxQueue: 0 } })
    engine.state = { ...engine.state, freeSlots: 2 }
    const compiled = Promise.withResolvers<void>()
    grammars.delay = compiled.promise
    const slow = post({ prompt: 'x', n: 2, structured_outputs: { regex: 'a' } })
    while (grammars.compiled.length === 0) await new Promise(setImmediate)
    expect((await post({ prompt: 'x' })).status).toBe(429)
    compiled.resolve()
    expect((await slow).status).toBe(200)
    expect((await post({ prompt: 'x' })).status).toBe(200)
  })

  test('nothing is submitted for a client that leaves in the meantime', async () => {
    const { engine, grammars, lines, post } = testApp()
    const compiled = Promise.withResolvers<void>()
    grammars.delay = compiled.promise
    const client = new AbortController()
    const body = { prompt: 'x', stream: true, structured_outputs: { regex: 'a' } }
    const pending = post(body, { signal: client.signal })
    while (grammars.compiled.length === 0) await new Promise(setImmediate)
    client.abort()
    compiled.resolve()
    expect((await pending).status).toBe(499)
    expect(engine.generations).toEqual([])
    expect(lines.at(-1)).toMatchObject({ status: 499 })
  })
})

describe('fields that the engine gets', () => {
  test.each<[object, object]>([
    [{ stop_token_ids: [5, 6] }, { stopTokenIds: [5, 6] }],
    [{ include_stop_str_in_output: true }, { includeStop: true }],
    [{ min_tokens: 3 }, { minTokens: 3 }],
    [{ skip_special_tokens: false }, { skipSpecialTokens: false }],
    [{ add_special_tokens: false, prompt: 'one three' }, { prompt: [5, 7] }],
    [{ truncate_prompt_tokens: 2, prompt: 'one three' }, { prompt: [1, 7] }],
    [
      { truncate_prompt_tokens: 2, truncation_side: 'right', prompt: 'one three' },
      { prompt: [1, 5] },
    ],
    [{ truncate_prompt_tokens: 1, prompt: 'one three' }, { prompt: [1] }],
    [{ truncate_prompt_tokens: 2, prompt: [1, 2, 3] }, { prompt: [2, 3] }],
    [{ truncate_prompt_tokens: 9, prompt: [1, 2, 3] }, { prompt: [1, 2, 3] }],
    [{ truncate_prompt_tokens: -1, prompt: [1, 2, 3] }, { prompt: [1, 2, 3] }],
    [{ request_id: 'mine-7' }, { id: 'cmpl-mine-7-0' }],
  ])('%j', async (body, expected) => {
    const { engine, post } = testApp()
    expect((await post({ prompt: 'x', ...body })).status).toBe(200)
    expect(engine.requests[0]).toMatchObject(expected)
  })

  test('truncate_prompt_tokens -1 leaves room for the completion', async () => {
    const { engine, post } = testApp({ model: { maxModelLen: 20 } })
    const prompt = Array.from({ length: 30 }, (_, index) => index)
    await post({ prompt, truncate_prompt_tokens: -1, max_tokens: 12 })
    expect(engine.requests[0].prompt).toEqual(prompt.slice(-8))
  })

  test('a word is banned at the start of a text and after a space', async () => {
    const tokenizer = {
      encode: (text: string) => (text === ' cat' ? [40] : text === 'cat' ? [41] : [7, 8]),
    }
    const { engine, post } = testApp({ tokenizer })
    await post({ prompt: 'x', bad_words: ['cat', 'dog'] })
    // "dog" is spelled alike in both places.
    expect(engine.requests[0].sampling.bannedSequences).toEqual([[41], [40], [7, 8]])
  })
})

test('a prompt that is too long is named, before any is started', async () => {
  const { engine, post } = testApp({ model: { maxModelLen: 4 } })
  const response = await post({ prompt: [[1, 2, 3], [1, 2, 3, 4]] }) // biome-ignore format: pairs
  expect(response.status).toBe(400)
  expect((await json(response)).error).toMatchObject({
    ...{ param: 'prompt.1', code: 'context_length_exceeded' },
    message: 'prompt.1 has 4 tokens; the model takes 4 with the completion',
  })
  expect(engine.generations).toEqual([])
  expect((await post({ prompt: [1, 2, 3, 4], max_tokens: 0 })).status).toBe(200)
})

describe('usage in a stream', () => {
  test('comes with every chunk if asked for', async () => {
    const { post } = testApp({ words: ['Once', ' upon'] })
    const stream_options = { include_usage: true, continuous_usage_stats: true }
    const response = await post({ prompt: 'a', stream: true, stream_options })
    const events = (await readEvents(response)).slice(0, -1)
    expect(events.map((event) => event.usage.completion_tokens)).toEqual([1, 2, 2, 2])
    expect(events.map((event) => event.usage.prompt_tokens)).toEqual([2, 2, 2, 2])
    expect(events.at(-1).choices).toEqual([])
  })

  test('is that of the choice of its chunk, and at the end of all', async () => {
    const { post } = testApp({ words: ['Once', ' upon'] })
    const stream_options = { include_usage: true, continuous_usage_stats: true }
    const response = await post({ prompt: 'a', n: 2, stream: true, stream_options })
    const events = (await readEvents(response)).slice(0, -1)
    for (const index of [0, 1]) {
      const own = events.filter((event) => event.choices[0]?.index === index)
      expect(own.map((event) => event.usage.completion_tokens)).toEqual([1, 2, 2])
    }
    expect(events.at(-1).usage.completion_tokens).toBe(4)
  })

  test('continuous_usage_stats alone asks for nothing', async () => {
    const { post } = testApp()
    const stream_options = { continuous_usage_stats: true }
    const response = await post({ prompt: 'a', stream: true, stream_options })
    const events = (await readEvents(response)).slice(0, -1)
    expect(events.every((event) => !('usage' in event))).toBe(true)
  })
})

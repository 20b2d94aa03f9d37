// What the engine gets for each field of a good body; bad ones are in broken-bodies.ts.

import { describe, expect, test } from 'bun:test'
import type { SamplingParams } from '../../src/engine/request.ts'
import { testApp } from './test-app.ts'

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
      logprobs: undefined,
      priority: 0,
      cacheSalt: undefined,
      cacheBreakpoints: [],
    })
  })

  test("the checkpoint's sampling is the default, and the request's goes before it", async () => {
    const sampling = {
      temperature: 0.8,
      topP: 0.9,
      topK: 40,
      minP: undefined,
      repetitionPenalty: 1.2,
    }
    const { sampling: kept } = await submitted({}, { model: { sampling } })
    expect(kept).toEqual({ ...sampling, minP: 0, seed: undefined })
    const { sampling: set } = await submitted(
      { temperature: 0, top_p: 1, top_k: -1, min_p: 0.1, repetition_penalty: 1 },
      { model: { sampling } },
    )
    const own = { temperature: 0, topP: 1, topK: 0, minP: 0.1, repetitionPenalty: 1 }
    expect(set).toEqual({ ...own, seed: undefined })
  })

  test('null is as good as nothing', async () => {
    const names = [
      ...['model', 'max_tokens', 'temperature', 'top_p', 'top_k', 'min_p', 'n', 'best_of', 'seed'],
      ...['stop', 'stream', 'stream_options', 'ignore_eos', 'echo', 'logprobs', 'suffix', 'user'],
      ...['logit_bias', 'response_format', 'tools', 'presence_penalty', 'prompt_logprobs'],
      ...['frequency_penalty', 'repetition_penalty', 'repeat_penalty', 'allowed_token_ids'],
      ...['priority', 'cache_salt', 'prompt_cache_breakpoint'],
    ]
    const nulls = Object.fromEntries(names.map((name) => [name, null]))
    expect(await submitted(nulls)).toEqual({ ...(await submitted({})), id: expect.any(String) })
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
    [{ n: 1, best_of: 1 }, { logprobs: undefined }],
    [{ priority: -(2 ** 31) }, { priority: -(2 ** 31) }],
    [{ priority: 2 ** 31 - 1 }, { priority: 2 ** 31 - 1 }],
    [{ cache_salt: 's' }, { cacheSalt: 's' }],
    [{ cache_salt: 's'.repeat(128) }, { cacheSalt: 's'.repeat(128) }],
    [{ prompt_cache_breakpoint: 2 }, { cacheBreakpoints: [2] }],
    [{ prompt_cache_breakpoint: [] }, { cacheBreakpoints: [] }],
    [
      { prompt: [1, 2, 3, 4, 5], prompt_cache_breakpoint: [5, 1, 4, 1] },
      { cacheBreakpoints: [1, 4, 5] },
    ],
  ])('%j', async (fields, expected) => {
    expect(await submitted(fields)).toMatchObject(expected)
  })

  // biome-ignore format: one case a line
  test.each<[object, Partial<SamplingParams>]>([
    [{ repetition_penalty: 0.01 }, { repetitionPenalty: 0.01 }],
    [{ repetition_penalty: 10 }, { repetitionPenalty: 10 }],
    [{ presence_penalty: -2 }, { presencePenalty: -2 }],
    [{ presence_penalty: 2 }, { presencePenalty: 2 }],
    [{ frequency_penalty: -2 }, { frequencyPenalty: -2 }],
    [{ frequency_penalty: 0 }, { frequencyPenalty: 0 }],
    [{ logit_bias: {} }, { logitBias: undefined }],
    [{ logit_bias: { 0: -100, 4095: 100 } }, { logitBias: new Map([[0, -100], [4095, 100]]) }],
    [{ allowed_token_ids: [4095] }, { allowedTokenIds: [4095] }],
    [{ allowed_token_ids: [3, 0, 3] }, { allowedTokenIds: [3, 0, 3] }],
    [{ seed: 7 }, { seed: 7 }],
  ])('sampling: %j', async (fields, expected) => {
    const neutral = { temperature: 1, topP: 1, topK: 0, minP: 0, seed: undefined }
    expect((await submitted(fields)).sampling).toEqual({ ...neutral, ...expected })
  })

  test('as many biases and allowed ids as there may be', async () => {
    const ids = (length: number) => Array.from({ length }, (_, index) => index % 4096)
    const { sampling } = await submitted({
      logit_bias: Object.fromEntries(ids(1024).map((id) => [id, id / 1024])),
      allowed_token_ids: ids(65_536),
    })
    expect(sampling.logitBias?.size).toBe(1024)
    expect(sampling.logitBias?.get(512)).toBe(0.5)
    expect(sampling.allowedTokenIds).toEqual(ids(65_536))
  })

  test('ids are checked before a prompt is tokenized', async () => {
    let encoded = 0
    const tokenizer = { vocabSize: 10, encode: () => [++encoded] }
    const { post } = testApp({ tokenizer })
    expect((await post({ prompt: 'x', logit_bias: { 10: 1 } })).status).toBe(400)
    expect((await post({ prompt: 'x', allowed_token_ids: [10] })).status).toBe(400)
    expect(encoded).toBe(0)
    const good = { logit_bias: { 9: 1 }, allowed_token_ids: [9] }
    expect((await post({ prompt: 'x', ...good })).status).toBe(200)
  })

  test('breakpoints are checked for all prompts before one is submitted', async () => {
    const { engine, post } = testApp()
    const response = await post({ prompt: ['a b c', 'a'], prompt_cache_breakpoint: [1, 4] })
    expect(response.status).toBe(400)
    expect(engine.generations).toEqual([])
  })

  test('values that ask for nothing, and fields that change nothing, are accepted', async () => {
    const { lines, post } = testApp({ logLevel: 'debug' })
    const response = await post({
      prompt: 'x',
      ...{ suffix: '', echo: false, logit_bias: {}, presence_penalty: 0, frequency_penalty: 0 },
      ...{ repetition_penalty: 1, min_tokens: 0, stop_token_ids: [], bad_words: [], tools: [] },
      ...{ repeat_penalty: 1, response_format: { type: 'text' } },
      ...{ user: 'u', metadata: { a: 1 }, store: true, toString: 1, made_up: [1] },
    })
    expect(response.status).toBe(200)
    const ignored = lines.find((line) => line.message === 'ignored fields')
    expect(ignored.fields).toEqual(['user', 'metadata', 'store', 'toString', 'made_up'])
  })
})

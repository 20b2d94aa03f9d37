// Several samples of a prompt: `n`, `best_of`, and what they cost.

import { describe, expect, test } from 'bun:test'
import type { FakeGeneration } from '../helpers/fake-engine.ts'
import { type Json, readEvents, testApp } from './test-app.ts'

const json = async (response: Response): Promise<Json> => response.json()

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
        stop_reason: null,
      })),
    )
    expect(engine.requests.map((request) => request.prompt.length)).toEqual([1, 1, 1, 2, 2, 2])
    expect(new Set(engine.requests.map((request) => request.id)).size).toBe(6)
    expect(reply.usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 6, total_tokens: 9 })
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

  test('lets the engine compute the prompt of samples once', async () => {
    const { engine, post } = testApp({ words: 'manual' })
    const fields = { priority: -3, cache_salt: 'tenant', prompt_cache_breakpoint: [2, 1, 2] }
    const response = post({ prompt: [[1, 2], [3, 4, 5]], n: 3, ...fields }) // biome-ignore format: pairs
    const generations = await engine.submitted(6)
    const sources = engine.requests.map(({ sampleOf }) =>
      generations.indexOf(sampleOf as FakeGeneration),
    )
    expect(sources).toEqual([-1, 0, 0, -1, 3, 3])
    for (const request of engine.requests) {
      expect(request).toMatchObject({ priority: -3, cacheSalt: 'tenant', cacheBreakpoints: [1, 2] })
      expect(request.logprobs).toBeUndefined()
    }
    for (const generation of generations) generation.finish('stop')
    expect((await response).status).toBe(200)
  })
})

describe('best_of', () => {
  /** Text of a sample and the log-probabilities of its tokens. */
  type Script = [text: string, logprobs: number[]]

  async function best(body: object, scripts: Script[]): Promise<Json> {
    const { engine, post } = testApp({ words: 'manual' })
    const response = post({ prompt: [1], ...body })
    const generations = await engine.submitted(scripts.length)
    generations.forEach((generation, index) => {
      const [text, logprobs] = scripts[index]
      for (const logprob of logprobs) generation.emit('', logprob)
      generation.finish(logprobs.length > 2 ? 'length' : 'stop', text)
    })
    expect(engine.requests.every((request) => request.logprobs === 0)).toBe(true)
    return json(await response)
  }

  const texts = (reply: Json) => reply.choices.map((choice: Json) => choice.text)

  test('returns the n samples of highest mean log-probability, best first', async () => {
    const reply = await best({ n: 2, best_of: 4 }, [
      ['long', [-1, -1, -1, -1]],
      ['worst', [-2]],
      ['best', [-0.5, -0.7]],
      ['second', [-0.9, -0.9, -0.9]],
    ])
    expect(reply.choices).toEqual([
      { index: 0, text: 'best', logprobs: null, finish_reason: 'stop', stop_reason: null },
      { index: 1, text: 'second', logprobs: null, finish_reason: 'length', stop_reason: null },
    ])
  })

  test('counts the tokens of all samples, the prompt once', async () => {
    const { usage } = await best({ best_of: 3 }, [
      ['a', [-1, -1]],
      ['b', [-2]],
      ['c', [-3, -3, -3]],
    ])
    expect(usage).toMatchObject({ prompt_tokens: 1, completion_tokens: 6, total_tokens: 7 })
  })

  test('chooses for each prompt alone and numbers choices prompt by prompt', async () => {
    const reply = await best({ prompt: [[1], [2]], best_of: 2 }, [
      ['a', [-9]],
      ['b', [-8]],
      ['c', [-1]],
      ['d', [-2]],
    ])
    expect(texts(reply)).toEqual(['b', 'c'])
    expect(reply.choices.map((choice: Json) => choice.index)).toEqual([0, 1])
  })

  // biome-ignore format: one case a line
  test.each<[string, Script[], string[]]>([
    ['of equal ones the earlier', [['a', [-1]], ['b', [-1, -1]], ['c', [-1]]], ['a', 'b']],
    ['one without tokens last', [['a', []], ['b', [-50]], ['c', [-40]]], ['c', 'b']],
    ['impossible ones last', [['a', [-Infinity]], ['b', [-9]], ['c', [-Infinity]]], ['b', 'a']],
  ])('takes %s', async (_name, scripts, expected) => {
    expect(texts(await best({ n: 2, best_of: 3 }, scripts))).toEqual(expected)
  })

  test('gives every sample its own seed', async () => {
    const { engine, post } = testApp()
    await post({ prompt: ['a', 'b'], best_of: 3, seed: 5 })
    expect(engine.requests.map((request) => request.sampling.seed)).toEqual([5, 6, 7, 5, 6, 7])
  })

  test.each<[object]>([
    [{ n: 2 }],
    [{ n: 2, best_of: 2 }],
    [{ n: 2, best_of: null }],
    [{ n: 2, best_of: 2, stream: true }],
  ])('ranks nothing for %j', async (body) => {
    const { engine, post } = testApp()
    const response = await post({ prompt: 'x', ...body })
    expect(response.status).toBe(200)
    await response.text()
    expect(engine.requests.map((request) => request.logprobs)).toEqual([undefined, undefined])
  })
})

describe('the prefix cache in usage', () => {
  const CACHED = { prompt_tokens_details: { cached_tokens: 6, cache_write_tokens: 9 } }

  async function play(body: object) {
    const { engine, lines, post } = testApp({ words: 'manual' })
    const response = post({ prompt: [[1, 2, 3, 4], [5, 6, 7]], n: 2, ...body }) // biome-ignore format: pairs
    const generations = await engine.submitted(4)
    // What further samples took over is not counted again.
    generations[1].finish('stop', 'b', { read: 4, written: 0 })
    generations[0].finish('stop', 'a', { read: 4, written: 8 })
    generations[2].finish('stop', 'c', { read: 2, written: 1 })
    generations[3].finish('stop', 'd', { read: 3, written: 0 })
    return { response: await response, lines }
  }

  test('sums over prompts, each by its first sample', async () => {
    const { response, lines } = await play({})
    expect((await json(response)).usage).toMatchObject({ prompt_tokens: 7, ...CACHED })
    expect(lines.at(-1)).toMatchObject({ prompt_tokens: 7, cached_tokens: 6 })
  })

  test('is in the last chunk of a stream and in the log', async () => {
    const { response, lines } = await play({
      stream: true,
      stream_options: { include_usage: true },
    })
    const events = await readEvents(response)
    expect(events.at(-2).usage).toMatchObject({ prompt_tokens: 7, ...CACHED })
    while (lines.length === 0) await new Promise(setImmediate)
    expect(lines.at(-1)).toMatchObject({ cached_tokens: 6 })
  })
})

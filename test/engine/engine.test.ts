// The engine over the shipped models: goldens, company, queueing, aborts.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { basename, join } from 'node:path'
import type { LoadedModel } from '../../src/engine/load.ts'
import type { Generation, GenerationRequest, Output } from '../../src/engine/request.ts'
import { loadTestModel, shipped, trained } from '../helpers/model.ts'

const GREEDY = { temperature: 0, topP: 1, topK: 0, minP: 0, seed: undefined }
const LOAD_TIMEOUT = 120_000

interface Golden {
  cases: {
    prompt: string
    ids: number[]
    prompt_logprobs: number[]
    greedy_ids: number[]
    greedy_gap: number[]
    greedy_text: string
  }[]
  long: { ids: number[]; nll_per_token: number[] }
}

const open = (folder: string, slots: number) => loadTestModel(folder, slots, 256)

function request(prompt: readonly number[], more: Partial<GenerationRequest> = {}) {
  return { id: 'test', prompt, maxTokens: 16, sampling: GREEDY, stop: [], ...more }
}

async function collect(generation: Generation) {
  const outputs: Output[] = []
  for await (const output of generation) outputs.push(output)
  return {
    ids: outputs.flatMap((output) => output.tokens.map((token) => token.id)),
    text: outputs.map((output) => output.text).join(''),
    promptLogprobs: outputs[0]?.promptLogprobs,
    tokens: outputs.flatMap((output) => output.tokens),
    finish: outputs.at(-1)?.finish,
  }
}

describe.each(trained.map((folder) => [basename(folder), folder]))('%s', (_, folder) => {
  let model: LoadedModel
  let golden: Golden

  beforeAll(async () => {
    golden = await Bun.file(join(folder, 'golden.json')).json()
    model = await open(folder, 8)
  }, LOAD_TIMEOUT)

  afterAll(async () => {
    await model[Symbol.asyncDispose]()
  })

  test('prompt log-probabilities and greedy tokens of the goldens', async () => {
    for (const { ids, prompt_logprobs, greedy_ids, greedy_gap } of golden.cases) {
      const result = await collect(
        model.engine.submit(request(ids, { maxTokens: 64, promptLogprobs: 0 })),
      )
      expect(result.promptLogprobs).toHaveLength(ids.length)
      expect(result.promptLogprobs![0]).toBeUndefined()
      for (const [i, expected] of prompt_logprobs.entries()) {
        expect(result.promptLogprobs![i + 1]!.id).toBe(ids[i + 1])
        expect(Math.abs(result.promptLogprobs![i + 1]!.logprob - expected)).toBeLessThan(5e-4)
      }
      // Beyond a near tie rounding may choose the other token.
      const certain = greedy_gap.findIndex((gap) => gap < 1e-3)
      const length = certain < 0 ? greedy_ids.length : certain
      expect(length).toBeGreaterThan(5)
      expect(result.ids.slice(0, length)).toEqual(greedy_ids.slice(0, length))
    }
  })

  test('the 512-token trace', async () => {
    const { ids, nll_per_token } = golden.long
    const result = await collect(
      model.engine.submit(request(ids, { maxTokens: 0, promptLogprobs: 0 })),
    )
    expect(result.finish).toEqual({ reason: 'length' })
    for (const [i, nll] of nll_per_token.entries()) {
      expect(Math.abs(-result.promptLogprobs![i + 1]!.logprob - nll)).toBeLessThan(2e-3)
    }
  })

  test('eight different requests give together what each gives alone', async () => {
    const requests = golden.long.ids.slice(0, 8).map((_, i) =>
      request(golden.long.ids.slice(0, 3 + 29 * i), {
        maxTokens: 12 + i,
        sampling: i % 2 === 0 ? GREEDY : { ...GREEDY, temperature: 0.9, topP: 0.9, seed: i },
      }),
    )
    const alone: number[][] = []
    for (const each of requests) alone.push((await collect(model.engine.submit(each))).ids)
    const together = await Promise.all(
      requests.map(async (each) => (await collect(model.engine.submit(each))).ids),
    )
    expect(together).toEqual(alone)
    expect(new Set(alone.map(String)).size).toBe(8)
  })
})

describe('three slots', () => {
  let model: LoadedModel
  let prompt: number[]

  beforeAll(async () => {
    model = await open(join(shipped, 'tales-gla-5m'), 3)
    prompt = model.tokenizer.encode('Once upon a time')
  }, LOAD_TIMEOUT)

  afterAll(() => model[Symbol.asyncDispose]())

  const free = () =>
    expect(model.engine.stats()).toMatchObject({ freeSlots: 3, waiting: 0, running: 0 })

  test('twenty requests all finish', async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        collect(model.engine.submit(request(prompt, { maxTokens: 1 + (i % 7) }))),
      ),
    )
    expect(results.map(({ ids }) => ids.length)).toEqual(results.map((_, i) => 1 + (i % 7)))
    free()
  })

  test('fifty aborted requests leave every slot free', async () => {
    const long = Array.from({ length: 700 }, (_, i) => 3 + (i % 4000))
    const generations = Array.from({ length: 50 }, (_, i) =>
      model.engine.submit(
        request(i % 2 === 0 ? prompt : long, { maxTokens: 1000, ignoreEos: true }),
      ),
    )
    // Some at once while they wait, some in the middle of their prompt, some while they decode.
    for (const generation of generations.slice(20)) generation.abort()
    for (const generation of generations.slice(0, 20)) {
      if (generation.promptTokens === prompt.length) {
        for await (const _ of generation) break
      } else {
        await Promise.resolve()
        generation.abort()
      }
    }
    free()
    expect((await collect(model.engine.submit(request(prompt)))).ids).toHaveLength(16)
  })

  test('a slot carries nothing over from its last user', async () => {
    const first = await collect(model.engine.submit(request(prompt)))
    const others = model.tokenizer.encode('The wolf said to the pig that the house of straw')
    for (let i = 0; i < 4; i++) await collect(model.engine.submit(request(others)))
    expect(await collect(model.engine.submit(request(prompt)))).toEqual(first)
  })

  test('stop strings end the text before them, end-of-sequence and limits say so', async () => {
    const whole = await collect(model.engine.submit(request(prompt, { maxTokens: 40 })))
    expect(whole.finish).toEqual({ reason: 'length' })
    const stop = whole.text.slice(20, 26)
    const stopped = await collect(
      model.engine.submit(request(prompt, { maxTokens: 40, stop: [stop] })),
    )
    expect(stopped.text).toBe(whole.text.slice(0, whole.text.indexOf(stop)))
    expect(stopped.finish).toEqual({ reason: 'stop', stop })
    expect(stopped.ids.length).toBeLessThan(40)
    free()
  })

  test('same seed, same text; another seed, another text', async () => {
    const sampled = async (seed: number) =>
      (
        await collect(
          model.engine.submit(
            request(prompt, { maxTokens: 30, sampling: { ...GREEDY, temperature: 1, seed } }),
          ),
        )
      ).text
    expect(await sampled(7)).toBe(await sampled(7))
    expect(await sampled(8)).not.toBe(await sampled(7))
  })

  test('log-probabilities of generated tokens: chosen and best', async () => {
    const { tokens } = await collect(
      model.engine.submit(request(prompt, { maxTokens: 3, logprobs: 4 })),
    )
    for (const { id, logprob, top } of tokens) {
      expect(top).toHaveLength(4)
      expect(top![0]).toEqual({ id, logprob: logprob! })
      expect(logprob).toBeLessThan(0)
      const sum = top!.reduce((total, each) => total + Math.exp(each.logprob), 0)
      expect(sum).toBeLessThanOrEqual(1)
    }
  })

  test.each([
    ['no tokens', [], /holds no tokens/],
    ['a token id outside the vocabulary', [1, 4096], /token id 4096; ids are 0 to 4095/],
    ['a negative token id', [-1], /token id -1/],
  ])('%s is refused', (_, prompt, message) => {
    expect(() => model.engine.submit(request(prompt))).toThrow(message)
    free()
  })
})

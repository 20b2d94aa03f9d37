// How generations end: limits, end-of-sequence tokens, closing, and aborts wherever a request is.
import { describe, expect, test } from 'bun:test'
import { randomBits } from '../../src/engine/random.ts'
import type { Generation, GenerationRequest } from '../../src/engine/request.ts'
import {
  collect,
  EOS,
  makePrompt,
  makeRequest,
  oneHot,
  openFakeEngine,
  textOf,
  VOCAB,
} from '../helpers/fake-runner.ts'

/** The text of a request that nothing runs beside. */
async function alone(request: GenerationRequest): Promise<string> {
  const { engine } = await openFakeEngine({ slots: 1 })
  return textOf(engine.submit(request))
}

describe('ends', () => {
  test('an end-of-sequence token ends the text, unless it is to be ignored', async () => {
    const { engine } = await openFakeEngine({ logits: () => oneHot(EOS) })
    expect(await collect(engine.submit(makeRequest()))).toMatchObject([
      { text: '', tokens: [{ id: EOS }], finish: { reason: 'stop', stop: EOS } },
    ])
    expect(await textOf(engine.submit(makeRequest({ ignoreEos: true })))).toBe('ccc')
  })

  test('max_tokens 0 scores the prompt and generates nothing', async () => {
    const { engine } = await openFakeEngine({ logits: () => oneHot(1) })
    const request = makeRequest({ prompt: [1, 1, 4], maxTokens: 0, promptLogprobs: 1 })
    const outputs = await collect(engine.submit(request))
    const norm = Math.log(Math.E + VOCAB - 1)
    expect(outputs).toHaveLength(1)
    expect(outputs[0]).toMatchObject({ text: '', tokens: [], finish: { reason: 'length' } })
    const scores = outputs[0].promptLogprobs!
    expect(scores.map((each) => each?.id)).toEqual([undefined, 1, 4])
    expect(scores[1]!.logprob).toBeCloseTo(1 - norm, 6)
    expect(scores[2]!.logprob).toBeCloseTo(-norm, 6)
    expect(scores[2]!.top.map((each) => each.id)).toEqual([1])
  })

  test('scores of a prompt of several slices come with its first token, in order', async () => {
    const { engine } = await openFakeEngine({ logits: ({ count }) => oneHot(count % VOCAB) })
    const prompt = makePrompt(150)
    const outputs = await collect(engine.submit(makeRequest({ prompt, promptLogprobs: 1 })))
    expect(outputs).toHaveLength(3)
    const scores = outputs[0].promptLogprobs!
    expect(scores.map((each) => each?.id)).toEqual([undefined, ...prompt.slice(1)])
    const best = scores.slice(1).map((each) => each!.top[0].id)
    expect(best).toEqual(best.map((_, i) => (i + 1) % VOCAB))
    expect(outputs.slice(1).map((output) => output.promptLogprobs)).toEqual([undefined, undefined])
  })

  test('a bounded model cuts completions and refuses prompts that leave no room', async () => {
    const { engine } = await openFakeEngine({ logits: () => oneHot(3), maxLength: 4 })
    const text = await textOf(engine.submit(makeRequest({ prompt: [1, 1], maxTokens: 100 })))
    expect(text).toBe('dd')
    expect(() => engine.submit(makeRequest({ prompt: [1, 1, 1, 1] }))).toThrow(
      'prompt has 4 tokens; the model takes 4 with the completion',
    )
    const scored = makeRequest({ prompt: [1, 1, 1, 1], maxTokens: 0 })
    expect(await textOf(engine.submit(scored))).toBe('')
  })

  test('no row is wasted on a generation whose length is known', async () => {
    const { engine, runner } = await openFakeEngine()
    await textOf(engine.submit(makeRequest({ maxTokens: 5, ignoreEos: true })))
    expect(runner.steps).toBe(5)
  })

  test('each token takes the random number of its place, whatever the slices were', async () => {
    const { engine, runner } = await openFakeEngine({ held: true })
    const sampling = { ...makeRequest().sampling, temperature: 1, seed: 7 }
    const request = makeRequest({ prompt: makePrompt(100), sampling, ignoreEos: true })
    const text = textOf(engine.submit(request))
    const drawn: number[][] = []
    for (let i = 0; i < 4; i++) {
      const step = await runner.next()
      drawn.push(step.work.samples.map(({ random }) => random))
      step.finish()
    }
    expect(drawn).toEqual([[], ...[0, 1, 2].map((place) => [randomBits(7, place)])])
    expect(await text).toHaveLength(3)
  })

  test('a closed engine takes no more', async () => {
    const { engine } = await openFakeEngine({ logits: () => oneHot(3) })
    const running = textOf(engine.submit(makeRequest({ maxTokens: 1000 })))
    await engine.close()
    expect(await running).toBe('')
    expect(() => engine.submit(makeRequest())).toThrow('it is shutting down')
    expect(engine.stats()).toMatchObject({ freeSlots: 2, running: 0, waiting: 0 })
  })
})

describe('aborts', () => {
  test('an iterator that is given up before its first round frees the slot', async () => {
    const { engine } = await openFakeEngine()
    const iterator = engine.submit(makeRequest({ maxTokens: 1000 }))[Symbol.asyncIterator]()
    await iterator.return!()
    expect(engine.stats()).toMatchObject({ freeSlots: 2, waiting: 0, running: 0 })
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
  })

  test('between two outputs end the iteration without a finish', async () => {
    const { engine, runner } = await openFakeEngine({ logits: () => oneHot(3), held: true })
    const generation = engine.submit(makeRequest({ maxTokens: 1000 }))
    const outputs = generation[Symbol.asyncIterator]()
    for (let i = 0; i < 5; i++) {
      const step = await runner.next()
      step.finish()
      expect(await outputs.next()).toMatchObject({ done: false, value: { text: 'd' } })
    }
    generation.abort()
    expect(engine.stats().freeSlots).toBe(2)
    runner.release()
    expect(await outputs.next()).toEqual({ done: true, value: undefined })
    await engine.close()
    // Two more were on their way.
    expect(runner.steps).toBe(7)
  })

  test('of a waiting request leave no trace of it in any step', async () => {
    const { engine, runner } = await openFakeEngine({ slots: 1, held: true })
    const first = makeRequest({ id: 'first', prompt: makePrompt(10) })
    const running = textOf(engine.submit(first))
    const waiting = engine.submit(makeRequest({ prompt: makePrompt(64, 7) }))
    await runner.next().then((step) => step.finish())
    expect(engine.stats()).toMatchObject({ running: 1, waiting: 1 })
    waiting.abort()
    expect(engine.stats()).toMatchObject({ running: 1, waiting: 0 })
    runner.release()
    expect(await running).toBe(await alone(first))
    expect(await collect(waiting)).toEqual([])
    // Three tokens of the first one took three steps.
    expect(runner.steps).toBe(3)
  })

  /** Steps that have come back before the abort; two more are on their way then. */
  test.each([
    ['before its first slice has come back', 200, 0, 0],
    ['between slices of its prompt', 200, 1, 0],
    ['with the last slice and a decode row on their way', 100, 1, 0],
    ['with its first token known', 100, 2, 1],
    ['while it decodes', 5, 4, 4],
  ])('%s', async (_, length, finished, known) => {
    const { engine, runner } = await openFakeEngine({ slots: 1, held: true })
    const prompt = makePrompt(length)
    const aborted = engine.submit(makeRequest({ prompt, maxTokens: 50, ignoreEos: true }))
    const next = makeRequest({ id: 'next', prompt: makePrompt(90, 5), maxTokens: 9 })
    const successor = textOf(engine.submit(next))
    for (let i = 0; i < finished; i++) (await runner.next()).finish()
    const onTheirWay = [await runner.next(), await runner.next()]
    expect(engine.stats()).toMatchObject({ freeSlots: 0, running: 1, waiting: 1 })
    aborted.abort()
    expect(engine.stats()).toMatchObject({ freeSlots: 1, running: 0, waiting: 1 })
    for (const step of onTheirWay) step.finish()
    runner.release()
    expect(await successor).toBe(await alone(next))
    const outputs = await collect(aborted)
    expect(outputs).toHaveLength(known)
    expect(outputs.filter(({ finish }) => finish)).toEqual([])
    await engine.close()
    expect(engine.stats()).toMatchObject({ freeSlots: 1, running: 0, waiting: 0 })
  })

  test('of many at once leave the others their own results', async () => {
    const { engine } = await openFakeEngine({ slots: 4, promptTokens: 128 })
    const requests = Array.from({ length: 60 }, (_, i) =>
      makeRequest({
        id: `${i}`,
        prompt: makePrompt(1 + ((i * 37) % 200), i),
        maxTokens: 1 + (i % 9),
      }),
    )
    const generations = requests.map((request) => engine.submit(request))
    const read = async (generation: Generation, i: number) => {
      let text = ''
      for await (const output of generation) {
        text += output.text
        if (i % 3 === 1) break
      }
      return text
    }
    const texts = generations.map(read)
    for (const [i, generation] of generations.entries()) if (i % 3 === 2) generation.abort()
    for (const [i, request] of requests.entries()) {
      const whole = await alone(request)
      const expected = [whole, whole.slice(0, 1), ''][i % 3]
      expect(await texts[i]).toBe(expected)
    }
    expect(engine.stats()).toMatchObject({ freeSlots: 4, running: 0, waiting: 0, fault: undefined })
  })
})

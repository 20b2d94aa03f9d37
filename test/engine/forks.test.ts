// Generations that go on from where others are: forks, and samples of one prompt.
import { describe, expect, test } from 'bun:test'
import type { GenerationRequest } from '../../src/engine/request.ts'
import {
  collect,
  type FakeOptions,
  makePrompt,
  makeRequest,
  openFakeEngine,
  textOf,
} from '../helpers/fake-runner.ts'

const ENDED = { status: 409, code: 'has_ended' }

/** The text of a request that nothing runs beside. */
async function alone(request: GenerationRequest): Promise<string> {
  const { engine } = await openFakeEngine({ slots: 1 })
  return textOf(engine.submit(request))
}

const idsOf = (text: string) => [...text].map((letter) => letter.charCodeAt(0) - 97)

/** A request that goes on until its limit. */
const endless = (more: Partial<GenerationRequest> = {}) =>
  makeRequest({ prompt: makePrompt(20), maxTokens: 12, ignoreEos: true, ...more })

/** An engine with a generation that has drawn `known` tokens and has two steps on their way. */
async function openRunning(known: number, options: FakeOptions = {}, request = endless()) {
  const events: unknown[] = []
  const fake = await openFakeEngine({
    held: true,
    onEvent: (message, fields) => events.push([message, fields]),
    ...options,
  })
  const parent = fake.engine.submit(request)
  for (let i = 0; i < known; i++) (await fake.runner.next()).finish()
  const steps = [await fake.runner.next(), await fake.runner.next()]
  return {
    ...fake,
    parent,
    events,
    /** Lets everything run to its end. */
    release: () => {
      for (const step of steps) step.finish()
      fake.runner.release()
    },
  }
}

describe('a fork of a running generation', () => {
  test('goes on from the tokens that are drawn and on their way, and disturbs nobody', async () => {
    const { engine, parent, events, release } = await openRunning(3)
    const fork = engine.fork(parent, endless({ id: 'fork', maxTokens: 9 }))
    release()
    const [whole, rest] = [await textOf(parent), await textOf(fork)]
    expect(whole).toBe(await alone(endless()))
    // Five tokens were submitted, so the fork begins with the sixth.
    const context = [...makePrompt(20), ...idsOf(whole.slice(0, 5))]
    expect(rest).toHaveLength(9)
    expect(rest).toBe(await alone(endless({ prompt: context, maxTokens: 9 })))
    expect(whole.slice(5)).toBe(rest.slice(0, 7))
    expect(events).toEqual([['fork', { from: 'r', to: 'fork', position: 24 }]])
    expect(engine.stats()).toMatchObject({ forks: 1, freeSlots: 2, running: 0, fault: undefined })
  })

  test('has its own parameters', async () => {
    const { engine, parent, release } = await openRunning(3)
    const sampling = { ...makeRequest().sampling, allowedTokenIds: [0, 1] }
    const fork = engine.fork(parent, endless({ id: 'fork', sampling, stop: ['bb'] }))
    release()
    const whole = await textOf(parent)
    const context = [...makePrompt(20), ...idsOf(whole.slice(0, 5))]
    const expected = await alone(endless({ prompt: context, sampling, stop: ['bb'] }))
    expect(await textOf(fork)).toBe(expected)
    expect(expected).toMatch(/^[ab]+$/)
    expect(whole).not.toMatch(/^.{5}[ab]+$/)
  })

  test('can be forked in turn, several times at once', async () => {
    const { engine, parent, release } = await openRunning(1, { slots: 4 })
    const [first, second] = [1, 2].map(() => engine.fork(parent, endless({ maxTokens: 30 })))
    release()
    const reader = first[Symbol.asyncIterator]()
    const outputs = [await reader.next()]
    const third = engine.fork(first, endless())
    for (let next = outputs[0]; !next.done; next = await reader.next()) outputs.push(next)
    const texts = [await textOf(second), await textOf(third)]
    const whole = await alone(endless({ maxTokens: 100 }))
    expect(texts[0]).toBe(whole.slice(3, 33))
    expect(whole).toContain(texts[1])
    expect(engine.stats()).toMatchObject({ forks: 3, freeSlots: 4, fault: undefined })
  })

  test('fails if no slot is free; the original and who waits are spared', async () => {
    const { engine, parent, release } = await openRunning(2, { slots: 1 })
    const fork = engine.fork(parent, endless())
    const waiting = textOf(engine.submit(makeRequest()))
    release()
    await expect(textOf(fork)).rejects.toMatchObject({
      status: 429,
      code: 'no_free_slot',
      message: 'no slot is free for a fork; there are 1',
    })
    expect(await textOf(parent)).toBe(await alone(endless()))
    expect(await waiting).toBe(await alone(makeRequest()))
    expect(engine.stats()).toMatchObject({ forks: 0, freeSlots: 1 })
  })

  test('fails if the original is aborted first; the slot is free at once', async () => {
    const { engine, parent, release } = await openRunning(2)
    const fork = engine.fork(parent, endless())
    parent.abort()
    expect(engine.stats()).toMatchObject({ freeSlots: 2, running: 0 })
    release()
    await expect(textOf(fork)).rejects.toMatchObject(ENDED)
    await engine.close()
    expect(engine.stats()).toMatchObject({ freeSlots: 2, forks: 0 })
  })

  test('fails if the original ends with the steps that are on their way', async () => {
    const { engine, parent, release } = await openRunning(10)
    const fork = engine.fork(parent, endless())
    release()
    await expect(textOf(fork)).rejects.toMatchObject(ENDED)
    expect(await textOf(parent)).toBe(await alone(endless()))
  })

  test('that is aborted first leaves the original as it was', async () => {
    const { engine, parent, release } = await openRunning(2)
    const fork = engine.fork(parent, endless())
    fork.abort()
    release()
    expect(await collect(fork)).toEqual([])
    expect(await textOf(parent)).toBe(await alone(endless()))
    expect(engine.stats()).toMatchObject({ forks: 0, freeSlots: 2, fault: undefined })
  })

  test('is aborted with everything else when the engine closes', async () => {
    const { engine, parent, release } = await openRunning(2)
    const fork = engine.fork(parent, endless())
    const closing = engine.close()
    release()
    await closing
    expect(await collect(fork)).toEqual([])
    expect(engine.stats()).toMatchObject({ forks: 0, freeSlots: 2 })
  })
})

describe('what cannot be forked', () => {
  test.each([
    ['has ended', (text: Promise<unknown>) => text],
    ['was aborted', async () => {}],
  ])('a generation that %s', async (name, wait) => {
    const { engine } = await openFakeEngine()
    const generation = engine.submit(makeRequest())
    if (name === 'was aborted') generation.abort()
    else await wait(textOf(generation))
    expect(() => engine.fork(generation, makeRequest())).toThrow(
      "generation r has ended and can't be forked",
    )
  })

  test('anything, for no tokens at all', async () => {
    const { engine, parent, release } = await openRunning(1)
    expect(() => engine.fork(parent, endless({ maxTokens: 0 }))).toThrow(
      'a fork generates at least 1 token',
    )
    release()
    expect(await textOf(parent)).toBe(await alone(endless()))
  })

  test('a context that leaves no room; one that leaves some bounds the fork', async () => {
    const { engine, parent, release } = await openRunning(1, { maxLength: 23 })
    // 20 of the prompt and 3 drawn or on their way.
    expect(() => engine.fork(parent, endless())).toThrow(
      'the forked generation has 23 tokens; the model takes 23 with the completion',
    )
    release()
    expect(await textOf(parent)).toHaveLength(3)
    const roomy = await openRunning(1, { maxLength: 27 })
    const fork = roomy.engine.fork(roomy.parent, endless({ maxTokens: 100 }))
    roomy.release()
    expect(await textOf(fork)).toHaveLength(4)
  })
})

describe('a fork before the first token', () => {
  const prompt = makePrompt(150)

  test.each([
    ['that waits', 1],
    ['that reads its prompt', 2],
  ])('of a generation %s is another sample of its prompt', async (_, slots) => {
    const { engine, runner } = await openFakeEngine({ slots, held: true })
    const other = slots === 1 ? textOf(engine.submit(makeRequest())) : undefined
    const parent = engine.submit(endless({ prompt }))
    const step = await runner.next()
    const fork = engine.fork(parent, endless({ id: 'fork', maxTokens: 5 }))
    step.finish()
    runner.release()
    const whole = await alone(endless({ prompt }))
    expect(await textOf(parent)).toBe(whole)
    expect(await textOf(fork)).toBe(whole.slice(0, 5))
    expect(await other).toBe(other && (await alone(makeRequest())))
    // With one slot it comes later and computes the prompt again.
    expect(engine.stats()).toMatchObject({ forks: slots - 1, freeSlots: slots })
  })

  test('has its own parameters', async () => {
    const { engine, runner } = await openFakeEngine({ held: true })
    const parent = engine.submit(endless({ prompt }))
    const step = await runner.next()
    const sampling = { ...makeRequest().sampling, allowedTokenIds: [0, 1] }
    const fork = engine.fork(parent, endless({ id: 'fork', sampling }))
    step.finish()
    runner.release()
    expect(await textOf(fork)).toBe(await alone(endless({ prompt, sampling })))
    expect(engine.stats().forks).toBe(1)
  })

  test('does not need the original to draw anything', async () => {
    const { engine, runner } = await openFakeEngine({ slots: 3, held: true })
    const neighbour = textOf(engine.submit(endless({ id: 'neighbour' })))
    const parent = engine.submit(makeRequest({ prompt, maxTokens: 0 }))
    const step = await runner.next()
    const fork = engine.fork(parent, endless({ id: 'fork' }))
    step.finish()
    runner.release()
    expect(await textOf(parent)).toBe('')
    expect(await textOf(fork)).toBe(await alone(endless({ prompt })))
    expect(await neighbour).toBe(await alone(endless()))
  })
})

describe('samples of one prompt', () => {
  const prompt = makePrompt(150)
  const sampled = (seed: number) =>
    endless({
      id: `${seed}`,
      prompt,
      sampling: { ...makeRequest().sampling, temperature: 1, seed },
    })

  test.each([
    ['as many slots as samples', 5, 0, 4],
    ['more samples than slots', 2, 0, 1],
    ['more samples than slots, and a prefix cache', 2, 4, 1],
  ])('%s: each is what it is alone', async (_, slots, snapshots, forks) => {
    const { engine } = await openFakeEngine({ slots, snapshots })
    const first = engine.submit(sampled(0))
    const others = [1, 2, 3, 4].map((i) => engine.submit({ ...sampled(i), sampleOf: first }))
    const outputs = await Promise.all([first, ...others].map(collect))
    for (const [i, each] of outputs.entries()) {
      expect(each.map(({ text }) => text).join('')).toBe(await alone(sampled(i)))
    }
    expect(new Set(outputs.map((each) => String(each.map(({ text }) => text)))).size).toBe(5)
    expect(engine.stats()).toMatchObject({ forks, freeSlots: slots, fault: undefined })
    // Those that began as copies, or with a kept state, did not compute the prompt.
    const computed = outputs.filter((each) => each.at(-1)!.cache!.read === 0).length
    expect(computed).toBe(snapshots > 0 ? 1 : 5 - forks)
  })

  test.each([
    ['the first one is aborted while it reads the prompt', 0],
    ['another one is aborted while it waits for the prompt', 1],
  ])('%s: the others are as before', async (_, aborted) => {
    const { engine, runner } = await openFakeEngine({ slots: 3, held: true })
    const first = engine.submit(sampled(0))
    const others = [1, 2].map((i) => engine.submit({ ...sampled(i), sampleOf: first }))
    const all = [first, ...others]
    const step = await runner.next()
    all[aborted].abort()
    step.finish()
    runner.release()
    for (const [i, generation] of all.entries()) {
      expect(await textOf(generation)).toBe(i === aborted ? '' : await alone(sampled(i)))
    }
    expect(engine.stats()).toMatchObject({ freeSlots: 3, waiting: 0, fault: undefined })
  })

  test('only the first one reports the scores of the prompt', async () => {
    const { engine } = await openFakeEngine({ scoredTokens: 64 })
    const first = engine.submit({ ...sampled(0), promptLogprobs: 0 })
    const second = engine.submit({ ...sampled(1), promptLogprobs: 0, sampleOf: first })
    const [own, other] = [await collect(first), await collect(second)]
    expect(own[0].promptLogprobs).toHaveLength(prompt.length)
    expect(other[0].promptLogprobs).toBeUndefined()
    expect(other.map(({ text }) => text).join('')).toBe(await alone(sampled(1)))
  })
})

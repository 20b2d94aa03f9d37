// Generations that a guide keeps within a grammar: what they draw, what their neighbours notice of it,
// what goes wrong with a guide, and that each guide is disposed once.
import { describe, expect, test } from 'bun:test'
import type { Generation, GenerationRequest } from '../../src/engine/request.ts'
import { ApiError } from '../../src/errors.ts'
import {
  collect,
  EOS,
  type FakeOptions,
  makePrompt,
  makeRequest,
  oneHot,
  openFakeEngine,
  textOf,
  VOCAB,
} from '../helpers/fake-runner.ts'
import { alternate, type FakeGuideOptions, fakeGuides, oneOf } from '../helpers/guides.ts'

const guides = (more: Partial<FakeGuideOptions> = {}) =>
  fakeGuides({ vocabSize: VOCAB, rule: alternate(VOCAB, [EOS]), ...more })

/** A guided request of 6 tokens; nothing but its grammar or its length ends it. */
const guided = (
  { make }: Pick<ReturnType<typeof fakeGuides>, 'make'>,
  more: Partial<GenerationRequest> = {},
) => makeRequest({ maxTokens: 6, ignoreEos: true, guide: make, ...more })

const idsOf = (text: string) => [...text].map((letter) => letter.charCodeAt(0) - 97)

const isAlternating = (text: string) => idsOf(text).every((id, i) => id % 2 === i % 2 && id !== EOS)

async function alone(request: GenerationRequest, options: FakeOptions = {}): Promise<string> {
  const { engine } = await openFakeEngine({ ...options, slots: 1 })
  return textOf(engine.submit(request))
}

describe('a guided generation', () => {
  test('draws what the grammar allows and tells the guide every token', async () => {
    const all = guides()
    const text = await alone(guided(all))
    expect(text).toHaveLength(6)
    expect(isAlternating(text)).toBeTrue()
    expect(isAlternating(await alone(guided(all, { guide: undefined })))).toBeFalse()
    // The last token ends the generation, and nobody asks what could follow.
    expect(all.made[0].accepted).toEqual(idsOf(text).slice(0, 5))
    expect(all.made[0].asked).toBe(6)
  })

  test.each([false, true])('ends with its grammar, with ignoreEos %p', async (ignoreEos) => {
    const runs = oneOf(
      [
        [5, 6, 7],
        [5, 6],
      ],
      [EOS],
    )
    const long = guides({ rule: runs })
    const { engine } = await openFakeEngine({ logits: () => oneHot(7) })
    expect((await collect(engine.submit(guided(long, { ignoreEos })))).at(-1)).toMatchObject({
      text: '',
      tokens: [{ id: EOS, offset: 3 }],
      finish: { reason: 'stop', stop: EOS },
    })
    expect(long.made[0].accepted).toEqual([5, 6, 7])
    const short = await openFakeEngine({ logits: () => oneHot(EOS) })
    expect(await textOf(short.engine.submit(guided(long, { ignoreEos })))).toBe('fg')
  })

  test('can be cut by its length, a stop string or a stop token', async () => {
    const all = guides({ rule: oneOf([[5, 6, 7, 8]], [EOS]) })
    expect(await alone(guided(all, { maxTokens: 2 }))).toBe('fg')
    expect(await alone(guided(all, { stop: ['gh'] }))).toBe('f')
    expect(await alone(guided(all, { stopTokenIds: [8] }))).toBe('fgh')
    expect(all.made.map(({ disposals }) => disposals)).toEqual([1, 1, 1])
  })

  test('takes other bans into account; a least length yields to the grammar', async () => {
    const all = guides({ rule: oneOf([[5], [6], [6, 7]], [EOS]) })
    const { sampling } = makeRequest()
    const some = { ...sampling, bannedTokenIds: [5] }
    expect(await alone(guided(all, { sampling: some }), { logits: () => oneHot(EOS) })).toBe('g')
    const long = guided(all, { sampling: some, minTokens: 5 })
    expect(await alone(long, { logits: () => oneHot(EOS) })).toBe('gh')
    const none = { ...sampling, allowedTokenIds: [7, 8] }
    await expect(alone(guided(all, { sampling: none }))).rejects.toMatchObject({
      status: 400,
      message: 'no token is allowed: every id is banned',
    })
  })

  test('has its mask from its first token on, however it gets its state', async () => {
    const all = guides()
    const { engine, runner } = await openFakeEngine({ slots: 5, snapshots: 4, held: true })
    const prompt = makePrompt(150)
    const first = engine.submit(guided(all, { prompt }))
    const steps = [await runner.next(), await runner.next()]
    const sample = engine.submit(guided(all, { prompt, sampleOf: first }))
    const plain = engine.submit(makeRequest({ prompt, sampleOf: first }))
    const early = engine.fork(first, guided(all, { id: 'early' }))
    for (const step of steps) step.finish()
    runner.release()
    const expected = await alone(guided(guides(), { prompt }))
    expect(isAlternating(expected)).toBeTrue()
    for (const each of [first, sample, early]) expect(await textOf(each)).toBe(expected)
    expect(await textOf(plain)).toBe(await alone(makeRequest({ prompt })))
    // The whole prompt is there already.
    const outputs = await collect(engine.submit(guided(all, { prompt })))
    expect(outputs.map(({ text }) => text).join('')).toBe(expected)
    expect(outputs.at(-1)!.cache!.read).toBe(150)
    expect(all.made.map(({ disposals }) => disposals)).toEqual([1, 1, 1, 1])
  })

  test('a fork begins a text of its own', async () => {
    const all = guides()
    const { engine } = await openFakeEngine({ slots: 3 })
    const parent = engine.submit(guided(all, { maxTokens: 9 }))
    const reader = parent[Symbol.asyncIterator]()
    let whole = ''
    const read = async () => {
      const { value } = await reader.next()
      whole += value?.text ?? ''
      return value
    }
    for (let i = 0; i < 3; i++) await read()
    const runs = {
      ...makeRequest().sampling,
      bannedSequences: [
        [0, 1],
        [15, 15],
      ],
    }
    const fork = textOf(engine.fork(parent, guided(all, { id: 'fork' })))
    const other = textOf(
      engine.fork(parent, guided(all, { id: 'runs', sampling: runs, minTokens: 3 })),
    )
    while (await read());
    expect(isAlternating(whole)).toBeTrue()
    expect(whole).toHaveLength(9)
    // One token of the parent was on its way when it was forked.
    const contexts = [3, 4].map((known) => [
      ...makeRequest().prompt,
      ...idsOf(whole.slice(0, known)),
    ])
    const texts = await Promise.all(contexts.map((prompt) => alone(guided(guides(), { prompt }))))
    expect(texts).toContain(await fork)
    expect(isAlternating(await fork)).toBeTrue()
    const others = await Promise.all(
      contexts.map((prompt) => alone(guided(guides(), { prompt, sampling: runs, minTokens: 3 }))),
    )
    expect(others).toContain(await other)
    expect(engine.stats()).toMatchObject({ forks: 2, freeSlots: 3, fault: undefined })
    expect(all.made.map(({ disposals }) => disposals)).toEqual([1, 1, 1])
  })
})

describe('steps', () => {
  test('hold a guided generation once at a time, and its neighbours always', async () => {
    const all = guides()
    const { engine, runner } = await openFakeEngine({ slots: 3, held: true })
    const neighbour = textOf(engine.submit(makeRequest({ maxTokens: 12, ignoreEos: true })))
    const both = [0, 1].map((i) => textOf(engine.submit(guided(all, { prompt: makePrompt(9, i) }))))
    const slots: number[][] = []
    let last = await runner.next()
    for (let i = 0; i < 9; i++) {
      // There is always another step on its way before this one comes back.
      const next = await runner.next()
      slots.push(last.work.segments.map(({ slot }) => slot).sort())
      last.finish()
      last = next
    }
    last.finish()
    runner.release()
    expect(slots.every((each) => each.includes(0))).toBeTrue()
    const guidedSteps = slots.map((each) => each.length > 1)
    // The neighbour did not wait for the first masks; from then on every second step has both.
    const start = guidedSteps.indexOf(true)
    expect(start).toBeLessThanOrEqual(2)
    expect(guidedSteps.slice(start, start + 4)).toEqual([true, false, true, false])
    expect(await neighbour).toBe(await alone(makeRequest({ maxTokens: 12, ignoreEos: true })))
    for (const [i, text] of both.entries()) {
      expect(await text).toBe(await alone(guided(guides(), { prompt: makePrompt(9, i) })))
    }
  })

  test('of a guided generation alone are one after another, also behind a long prompt', async () => {
    const all = guides()
    const { engine, runner } = await openFakeEngine({ held: true })
    const text = textOf(engine.submit(guided(all, { prompt: makePrompt(150) })))
    const prompt = [await runner.next(), await runner.next()]
    for (const step of prompt) step.finish()
    runner.release()
    expect(isAlternating(await text)).toBeTrue()
    expect(runner.steps).toBe(3 + 5)
  })
})

describe('a guide that fails', () => {
  const cause = new Error('the grammar is broken')
  const refusal = new ApiError(400, 'the grammar has no end', { param: 'structured_outputs' })

  test.each<['allowed' | 'accept', number, Error, object]>([
    ['allowed', 0, cause, { status: 500, code: 'internal_error' }],
    ['allowed', 2, cause, { status: 500, code: 'internal_error' }],
    ['allowed', 2, refusal, { status: 400, message: 'the grammar has no end' }],
    ['accept', 1, cause, { status: 500, code: 'internal_error' }],
    ['accept', 0, refusal, { status: 400, param: 'structured_outputs' }],
  ])('in %s after %p tokens ends its generation only', async (call, after, error, expected) => {
    const errors: unknown[] = []
    const bad = guides({
      onCall: (name, before) => {
        if (name === call && before.length === after) throw error
      },
    })
    const good = guides()
    const { engine } = await openFakeEngine({
      slots: 3,
      onError: (message, what) => errors.push([message, what]),
    })
    const neighbours = [makeRequest({ maxTokens: 9, ignoreEos: true }), guided(good)]
    const failing = collect(engine.submit(guided(bad, { id: 'bad' })))
    const texts = neighbours.map((each) => textOf(engine.submit(each)))
    await expect(failing).rejects.toMatchObject(expected)
    expect(await texts[0]).toBe(await alone(neighbours[0]))
    expect(await texts[1]).toBe(await alone(guided(guides())))
    expect(errors).toEqual(error === cause ? [['request bad failed', cause]] : [])
    expect(engine.stats()).toMatchObject({ freeSlots: 3, running: 0, fault: undefined })
    expect([...bad.made, ...good.made].map(({ disposals }) => disposals)).toEqual([1, 1])
  })

  test('to be made is the failure of that submit', async () => {
    const { engine } = await openFakeEngine()
    const make = () => {
      throw cause
    }
    expect(() => engine.submit(guided({ make }))).toThrow('the grammar is broken')
    expect(engine.stats()).toMatchObject({ waiting: 0, running: 0 })
    expect(await textOf(engine.submit(makeRequest()))).toBe(await alone(makeRequest()))
  })
})

describe('guides are disposed once', () => {
  test('and none is made for a request that is refused', async () => {
    const all = guides()
    const { engine } = await openFakeEngine({ maxLength: 3 })
    expect(() => engine.submit(guided(all, { prompt: [] }))).toThrow('prompt holds no tokens')
    expect(() => engine.submit(guided(all, { prompt: [1, 1, 1] }))).toThrow('prompt has 3 tokens')
    expect(all.made).toEqual([])
  })

  const endings: [string, number, (open: Opened) => void | Promise<void>][] = [
    ['aborted before any step', 0, ({ generation }) => generation.abort()],
    ['aborted with its prompt on its way', 1, ({ generation }) => generation.abort()],
    ['aborted while it decodes', 5, ({ generation }) => generation.abort()],
    ['left early by its reader', 5, async ({ generation }) => void (await readOne(generation))],
    ['ended by a fault of the device', 2, ({ engine }) => engine.fail('the device is gone')],
    ['closed', 2, ({ engine }) => void engine.close()],
    ['closed while it waits', 0, ({ engine }) => void engine.close()],
    ['read to its end', 5, () => {}],
    ['without tokens to generate', -1, () => {}],
  ]

  test.each(endings)('of a generation %s', async (_, steps, end) => {
    const all = guides()
    const { engine, runner } = await openFakeEngine({ held: true })
    const request = guided(all, { prompt: makePrompt(100), maxTokens: steps < 0 ? 0 : 6 })
    const generation = engine.submit(request)
    for (let i = 0; i < steps; i++) (await runner.next()).finish()
    expect(all.made.map(({ disposals }) => disposals)).toEqual([0])
    const read = steps < 5 ? collect(generation).catch(() => {}) : undefined
    const ended = end({ engine, generation })
    runner.release()
    await ended
    await (read ?? collect(generation))
    await engine.close()
    expect(all.made.map(({ disposals }) => disposals)).toEqual([1])
    expect(engine.stats()).toMatchObject({ freeSlots: 2, running: 0, waiting: 0 })
  })

  test('of a request that waits too long for a slot', async () => {
    const all = guides()
    const { engine, runner } = await openFakeEngine({ slots: 1, held: true, queueTimeoutMs: -1 })
    await expect(collect(engine.submit(guided(all)))).rejects.toMatchObject({ status: 503 })
    runner.release()
    expect(all.made.map(({ disposals }) => disposals)).toEqual([1])
  })

  test.each(['has ended', 'finds no slot', 'is aborted'])(
    'of a fork that waits for its original and %s',
    async (name) => {
      const all = guides()
      const slots = name === 'finds no slot' ? 1 : 2
      const { engine, runner } = await openFakeEngine({ slots, held: true })
      const parent = engine.submit(makeRequest({ maxTokens: 9, ignoreEos: true }))
      const step = await runner.next()
      const fork = engine.fork(parent, guided(all))
      if (name === 'has ended') parent.abort()
      if (name === 'is aborted') fork.abort()
      step.finish()
      runner.release()
      const outputs = collect(fork)
      if (name === 'is aborted') expect(await outputs).toEqual([])
      else await expect(outputs).rejects.toBeInstanceOf(ApiError)
      expect(all.made.map(({ disposals }) => disposals)).toEqual([1])
      await collect(parent)
    },
  )

  test.each([false, true])(
    'of an abort while the mask is computed, then failing %p',
    async (fails) => {
      const errors: unknown[] = []
      let generation: Generation | undefined
      const all = guides({
        onCall: (call, before) => {
          if (call !== 'allowed' || before.length < 2) return
          generation!.abort()
          if (fails) throw new Error('too late to matter')
        },
      })
      const { engine } = await openFakeEngine({ onError: (...error) => errors.push(error) })
      generation = engine.submit(guided(all))
      expect(await collect(generation)).toHaveLength(2)
      await engine.close()
      expect(all.made.map(({ disposals }) => disposals)).toEqual([1])
      expect(errors).toEqual([])
    },
  )
})

interface Opened {
  engine: Awaited<ReturnType<typeof openFakeEngine>>['engine']
  generation: Generation
}

async function readOne(generation: Generation): Promise<void> {
  for await (const _ of generation) break
}

// What the engine does when a step or a request goes wrong, over a device that is told what to do.
import { afterEach, beforeEach, describe, expect, mock, spyOn, test } from 'bun:test'
import type { Sequence } from '../../src/engine/sequence.ts'
import {
  collect,
  makePrompt,
  makeRequest,
  oneHot,
  openFakeEngine,
  textOf,
} from '../helpers/fake-runner.ts'

const FAULT = { status: 503, code: 'engine_fault' }
/** What clients get to see of a fault inside. */
const HIDDEN = 'it failed; the log says why'

/** How each of these ended: its text, or the error. */
async function outcomes(running: readonly Promise<unknown>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(running)
  return settled.map((each) => (each.status === 'fulfilled' ? each.value : each.reason))
}

/** Until everything that can happen without a step has happened. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('steps that fail', () => {
  const unhandled: unknown[] = []
  const note = (reason: unknown) => unhandled.push(reason)

  beforeEach(() => {
    process.on('unhandledRejection', note)
  })

  afterEach(() => {
    process.off('unhandledRejection', note)
  })

  test('fail all requests and stop the engine: running, waiting and about to fork', async () => {
    const errors: unknown[] = []
    const { engine, runner } = await openFakeEngine({
      held: true,
      onError: (message, error) => errors.push([message, String(error)]),
    })
    const generations = [0, 1, 2].map((i) => engine.submit(makeRequest({ id: `r${i}` })))
    const step = await runner.next()
    generations.push(engine.fork(generations[0], makeRequest({ id: 'fork' })))
    expect(engine.stats()).toMatchObject({ running: 2, waiting: 1, fault: undefined })
    const ends = outcomes(generations.map(textOf))
    step.fail(new Error('device lost'))
    runner.release()
    expect(await ends).toMatchObject([FAULT, FAULT, FAULT, FAULT])
    expect(engine.stats()).toMatchObject({ fault: HIDDEN, freeSlots: 2, waiting: 0 })
    expect(() => engine.submit(makeRequest())).toThrow(`the engine stopped: ${HIDDEN}`)
    await engine.close()
    expect(errors).toEqual([['step failed', 'Error: device lost']])
    expect(engine.stats().fault).toBe(HIDDEN)
  })

  test('leave no rejection unhandled when the steps behind them fail as well', async () => {
    const { engine, runner } = await openFakeEngine({ held: true })
    const ends = outcomes([textOf(engine.submit(makeRequest()))])
    const [first, second] = [await runner.next(), await runner.next()]
    second.fail(new Error('second'))
    await turn()
    first.fail(new Error('first'))
    expect(await ends).toMatchObject([{ ...FAULT, message: `the engine stopped: ${HIDDEN}` }])
    await engine.close()
    await turn()
    expect(unhandled).toEqual([])
  })

  test('take back nothing of what came before', async () => {
    const { engine, runner } = await openFakeEngine({ held: true, logits: () => oneHot(3) })
    const texts: string[] = []
    const read = async () => {
      for await (const { text } of engine.submit(makeRequest())) texts.push(text)
    }
    const end = outcomes([read()])
    const [first, second] = [await runner.next(), await runner.next()]
    first.finish()
    const third = await runner.next()
    second.fail(new Error('device lost'))
    third.fail(new Error('device lost'))
    expect(await end).toMatchObject([FAULT])
    expect(texts).toEqual(['d'])
  })

  test('may fail while they are submitted, with another one on its way', async () => {
    const { engine, runner } = await openFakeEngine({ held: true })
    const ends = outcomes([textOf(engine.submit(makeRequest()))])
    const [first, second] = [await runner.next(), await runner.next()]
    runner.error = new Error('submitted in vain')
    first.finish()
    expect(await ends).toMatchObject([FAULT])
    // The engine is not done before the device is.
    let isClosed = false
    const closing = engine.close().then(() => {
      isClosed = true
    })
    await turn()
    expect(isClosed).toBeFalse()
    second.finish()
    await closing
    expect(engine.stats()).toMatchObject({ fault: HIDDEN, freeSlots: 2 })
  })

  test('are not needed: a device that is gone ends everything at once', async () => {
    const { engine, runner } = await openFakeEngine({ held: true })
    const ends = outcomes([0, 1, 2].map(() => textOf(engine.submit(makeRequest()))))
    const step = await runner.next()
    engine.fail('the driver said goodbye')
    expect(await ends).toMatchObject([FAULT, FAULT, FAULT])
    expect(engine.stats()).toMatchObject({ freeSlots: 2, running: 0, waiting: 0 })
    // Results that come after all are for nobody.
    step.finish()
    runner.release()
    await engine.close()
    expect(engine.stats().fault).toBe('the driver said goodbye')
  })
})

describe('requests that fail alone', () => {
  test('logits that are no numbers', async () => {
    const errors: string[] = []
    const { engine } = await openFakeEngine({
      logits: ({ slot }) => oneHot(3).fill(Number.NaN, 0, slot === 0 ? 16 : 0),
      onError: (message) => errors.push(message),
    })
    const ends = await outcomes([
      textOf(engine.submit(makeRequest({ id: 'broken' }))),
      textOf(engine.submit(makeRequest())),
    ])
    expect(ends).toMatchObject([{ status: 500, code: 'internal_error' }, 'ddd'])
    expect(errors).toEqual(['request broken failed'])
    expect(engine.stats()).toMatchObject({ freeSlots: 2, fault: undefined })
  })

  test('a mask that allows nothing is the fault of the caller', async () => {
    const errors: string[] = []
    const { engine } = await openFakeEngine({
      logits: () => oneHot(3),
      onError: (message) => errors.push(message),
    })
    const masked = (allowedTokenIds: number[]) =>
      textOf(
        engine.submit(makeRequest({ sampling: { ...makeRequest().sampling, allowedTokenIds } })),
      )
    const ends = await outcomes([masked([]), masked([1, 5])])
    expect(ends).toMatchObject([
      { status: 400, message: 'no token is allowed: every id is banned' },
      'bbb',
    ])
    expect(errors).toEqual([])
    expect(engine.stats()).toMatchObject({ freeSlots: 2, fault: undefined })
  })

  test('text that cannot be made', async () => {
    const errors: [string, unknown][] = []
    const { engine } = await openFakeEngine({
      logits: ({ slot }) => oneHot(3 + slot),
      tokenizer: {
        bytes: (id) => {
          if (id === 4) throw new Error('no bytes for 4')
          return Uint8Array.of(97 + id)
        },
        isSpecial: () => false,
        stripsLeadingSpace: false,
      },
      onError: (message, error) => errors.push([message, String(error)]),
    })
    const ids = ['fine', 'broken', 'fine too']
    const ends = await outcomes(ids.map((id) => textOf(engine.submit(makeRequest({ id })))))
    expect(ends[0]).toBe('ddd')
    expect(ends[1]).toMatchObject({ status: 500, code: 'internal_error' })
    // The third one has the slot of the second one, and is none the better for it.
    expect(ends[2]).toMatchObject({ status: 500 })
    expect(errors[0]).toEqual(['request broken failed', 'Error: no bytes for 4'])
    expect(engine.stats()).toMatchObject({ freeSlots: 2, fault: undefined })
  })

  test('scores of a prompt whose logits are no numbers', async () => {
    const { engine } = await openFakeEngine({
      logits: ({ count, slot }) => oneHot(3).fill(count === 2 && slot === 0 ? Number.NaN : 0, 0, 2),
    })
    const prompt = makePrompt(5)
    const ends = await outcomes([
      textOf(engine.submit(makeRequest({ prompt, promptLogprobs: 0 }))),
      textOf(engine.submit(makeRequest({ prompt, promptLogprobs: 0 }))),
    ])
    expect(ends).toMatchObject([{ status: 500 }, 'ddd'])
  })
})

describe('leaks', () => {
  afterEach(() => mock.restore())

  test('a slot that is missing when nothing runs stops the engine', async () => {
    const errors: [string, unknown][] = []
    const { engine, runner, admission } = await openFakeEngine({
      held: true,
      onError: (message, error) => errors.push([message, String(error)]),
    })
    const started: Sequence[] = []
    const start = admission.start.bind(admission)
    admission.start = (sequence) => {
      started.push(sequence)
      start(sequence)
    }
    const outputs = collect(engine.submit(makeRequest({ maxTokens: 1 })))
    const step = await runner.next()
    started[0].slot = undefined
    step.finish()
    // The request itself has got all it asked for.
    expect((await outputs).at(-1)?.finish).toBeDefined()
    await turn()
    const message = 'broken invariant: idle with 1 of 2 slots free'
    expect(errors).toEqual([[expect.any(String), `Error: ${message}`]])
    expect(engine.stats().fault).toBe(HIDDEN)
    expect(() => engine.submit(makeRequest())).toThrow(HIDDEN)
  })

  test('so does a row of the prefix cache', async () => {
    const { engine, cache } = await openFakeEngine({ snapshots: 2 })
    await textOf(engine.submit(makeRequest({ prompt: makePrompt(70) })))
    await turn()
    expect(engine.stats()).toMatchObject({ fault: undefined, prefixCache: { snapshots: 1 } })
    cache.check = () => {
      throw new Error('a row was lost')
    }
    // It is looked for once in a while.
    const aMinuteLater = performance.now() + 60_000
    spyOn(performance, 'now').mockImplementation(() => aMinuteLater)
    await textOf(engine.submit(makeRequest()))
    await turn()
    expect(engine.stats().fault).toBe(HIDDEN)
  })
})

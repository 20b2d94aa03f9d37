// Requests that take too long, on a clock that stands still unless the test moves it.
import { afterEach, beforeEach, describe, expect, mock, spyOn, test } from 'bun:test'
import type { Generation } from '../../src/engine/request.ts'
import { makePrompt, makeRequest, oneHot, openFakeEngine, textOf } from '../helpers/fake-runner.ts'

let now = 0

beforeEach(() => {
  now = 1000
  spyOn(performance, 'now').mockImplementation(() => now)
})

afterEach(() => mock.restore())

/** Texts that arrived, and the error that ended them. */
async function read(generation: Generation) {
  const texts: string[] = []
  try {
    for await (const { text } of generation) texts.push(text)
  } catch (error) {
    return { texts, error }
  }
  return { texts, error: undefined }
}

/** One slot, and a device that waits for the test. */
const open = (options: { queueTimeoutMs?: number; requestTimeoutMs?: number }) =>
  openFakeEngine({ slots: 1, held: true, logits: () => oneHot(3), ...options })

describe('queue timeout', () => {
  test('ends who has no slot in time, and spares who has one', async () => {
    const { engine, runner } = await open({ queueTimeoutMs: 500 })
    const running = read(engine.submit(makeRequest({ maxTokens: 5 })))
    const late = read(engine.submit(makeRequest()))
    now += 100
    const patient = read(engine.submit(makeRequest()))
    const step = await runner.next()
    now += 401
    step.finish()
    expect(await late).toMatchObject({
      texts: [],
      error: {
        status: 503,
        code: 'queue_timeout',
        message: 'no slot was free for 0.5 s',
        retryAfter: 1,
      },
    })
    expect(engine.stats()).toMatchObject({ running: 1, waiting: 1, fault: undefined })
    runner.release()
    expect(await running).toMatchObject({ texts: ['d', 'd', 'd', 'd', 'd'], error: undefined })
    expect(await patient).toMatchObject({ texts: ['d', 'd', 'd'], error: undefined })
    expect(engine.stats()).toMatchObject({ freeSlots: 1, running: 0, waiting: 0 })
  })

  test('is not reached by one that has waited just as long', async () => {
    const { engine, runner } = await open({ queueTimeoutMs: 500 })
    const running = read(engine.submit(makeRequest({ maxTokens: 2 })))
    const waiting = read(engine.submit(makeRequest()))
    const step = await runner.next()
    now += 500
    step.finish()
    runner.release()
    expect((await running).texts).toHaveLength(2)
    expect(await waiting).toMatchObject({ texts: ['d', 'd', 'd'], error: undefined })
  })

  test('does not count once a prompt has begun', async () => {
    const { engine, runner } = await open({ queueTimeoutMs: 500 })
    const running = read(engine.submit(makeRequest({ prompt: makePrompt(200) })))
    const step = await runner.next()
    now += 10_000
    step.finish()
    runner.release()
    expect(await running).toMatchObject({ texts: ['d', 'd', 'd'], error: undefined })
  })
})

describe('request timeout', () => {
  const TIMEOUT = {
    status: 504,
    code: 'request_timeout',
    message: 'the request was not finished within 2 s',
    retryAfter: undefined,
  }

  test('ends a generation after what it has said so far; its slot goes to the next', async () => {
    const { engine, runner } = await open({ requestTimeoutMs: 2000 })
    const late = read(engine.submit(makeRequest({ maxTokens: 1000 })))
    for (let i = 0; i < 2; i++) (await runner.next()).finish()
    const step = await runner.next()
    now += 2001
    const next = read(engine.submit(makeRequest()))
    step.finish()
    runner.release()
    const { texts, error } = await late
    expect(error).toMatchObject(TIMEOUT)
    expect(texts).toEqual(['d', 'd', 'd'])
    expect(await next).toMatchObject({ texts: ['d', 'd', 'd'], error: undefined })
    expect(engine.stats()).toMatchObject({ freeSlots: 1, running: 0, fault: undefined })
  })

  test.each([
    ['that still waits', 5],
    ['between slices of its prompt', 200],
  ])('ends a request %s', async (name, length) => {
    const { engine, runner } = await open({ requestTimeoutMs: 2000 })
    const isWaiting = name === 'that still waits'
    const other = isWaiting ? textOf(engine.submit(makeRequest({ maxTokens: 1 }))) : undefined
    const late = read(engine.submit(makeRequest({ prompt: makePrompt(length) })))
    const step = await runner.next()
    now += 2001
    step.finish()
    runner.release()
    expect(await late).toMatchObject({ texts: [], error: TIMEOUT })
    // The last step is awaited, so a generation that ends with it is not late.
    if (other) expect(await other).toBe('d')
    expect(engine.stats()).toMatchObject({ freeSlots: 1, running: 0, waiting: 0 })
  })

  test('and queue timeout: the shorter one counts', async () => {
    const { engine, runner } = await open({ requestTimeoutMs: 2000, queueTimeoutMs: 3000 })
    const running = read(engine.submit(makeRequest()))
    const waiting = read(engine.submit(makeRequest()))
    const step = await runner.next()
    now += 2500
    step.finish()
    runner.release()
    expect((await running).error).toMatchObject(TIMEOUT)
    expect((await waiting).error).toMatchObject(TIMEOUT)
  })

  test('ends a generation whose fork is pending, and the fork with it', async () => {
    const { engine, runner } = await openFakeEngine({ held: true, requestTimeoutMs: 2000 })
    const parent = engine.submit(makeRequest({ maxTokens: 1000, ignoreEos: true }))
    const late = read(parent)
    const step = await runner.next()
    const fork = read(engine.fork(parent, makeRequest({ id: 'fork' })))
    now += 2001
    step.finish()
    runner.release()
    expect((await late).error).toMatchObject(TIMEOUT)
    expect((await fork).error).toMatchObject({ status: 409, code: 'has_ended' })
    expect(engine.stats()).toMatchObject({ freeSlots: 2, fault: undefined })
  })
})

test('without limits nothing is ever late', async () => {
  const { engine, runner } = await open({})
  const running = read(engine.submit(makeRequest()))
  const waiting = read(engine.submit(makeRequest()))
  const step = await runner.next()
  now += 1e9
  step.finish()
  runner.release()
  expect((await running).error).toBeUndefined()
  expect((await waiting).error).toBeUndefined()
})

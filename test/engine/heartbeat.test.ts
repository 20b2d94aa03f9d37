// How long the GPU has been silent, by a clock that the test sets.

import { afterEach, beforeEach, describe, expect, spyOn, test } from 'bun:test'
import { health } from '../../src/http/system/status.ts'
import { makePrompt, makeRequest, openFakeEngine, textOf } from '../helpers/fake-runner.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('silence', () => {
  let now = 1000
  let clock: ReturnType<typeof spyOn>

  beforeEach(() => {
    clock = spyOn(performance, 'now').mockImplementation(() => now)
  })

  afterEach(() => {
    clock.mockRestore()
  })

  test('begins with a step and ends when it comes back', async () => {
    const { engine, runner } = await openFakeEngine({ held: true })
    now += 50_000
    expect(engine.stats().silentMs).toBe(0)

    const done = textOf(engine.submit(makeRequest()))
    const step = await runner.next()
    await turn()
    now += 2500
    expect(engine.stats().silentMs).toBe(2500)
    expect(health(engine, 2500).status).toBe(200)
    now += 1
    const dead = health(engine, 2500)
    expect(dead.status).toBe(503)
    expect(await dead.json()).toEqual({
      ...{ status: 'error', reason: 'the GPU has not finished a step for 2 s' },
    })

    step.finish()
    await turn()
    expect(engine.stats().silentMs).toBe(0)
    expect(health(engine, 2500).status).toBe(200)
    runner.release()
    await done
    now += 50_000
    expect(engine.stats().silentMs).toBe(0)
    await engine.close()
  })

  test('is counted from the last step that came back, however long the work takes', async () => {
    const { engine, runner } = await openFakeEngine({ held: true })
    const done = textOf(engine.submit(makeRequest({ prompt: makePrompt(300), maxTokens: 1 })))
    for (let i = 0; i < 4; i++) {
      const step = await runner.next()
      await turn()
      now += 900
      expect(engine.stats().silentMs).toBe(900)
      step.finish()
      await turn()
    }
    runner.release()
    await done
    expect(engine.stats().silentMs).toBe(0)
    await engine.close()
  })

  test('is not that of a mask that takes long', async () => {
    const { engine } = await openFakeEngine()
    const mask = Promise.withResolvers<never>()
    const guide = () => ({ allowed: () => mask.promise, accept() {}, [Symbol.dispose]() {} })
    const waiting = engine.submit(makeRequest({ guide }))
    await textOf(engine.submit(makeRequest()))
    now += 50_000
    expect(engine.stats()).toMatchObject({ silentMs: 0, fault: undefined })
    expect(health(engine, 2500).status).toBe(200)
    waiting.abort()
    await engine.close()
  })

  test('of a lost device is a fault at once', async () => {
    const { engine } = await openFakeEngine()
    engine.loseDevice('unplugged')
    expect(engine.stats()).toMatchObject({ isDeviceLost: true, silentMs: 0 })
    const response = health(engine, 1000)
    expect(await response.json()).toEqual({
      ...{ status: 'device_lost', reason: 'the GPU device was lost: unplugged' },
    })
  })
})

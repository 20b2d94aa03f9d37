// How an event stream treats its reader; what it says is tested with the routes.

import { describe, expect, test } from 'bun:test'
import { type EventStreamOptions, eventStream } from '../../src/http/sse.ts'

const MEBIBYTE = 'x'.repeat(2 ** 20)

/** A stream that sends what the test says; `ended` counts. */
function openStream(options: Partial<EventStreamOptions> = {}) {
  const state = { cancelled: 0, ended: 0 }
  const sender = Promise.withResolvers<(event: unknown) => void>()
  const finished = Promise.withResolvers<void>()
  const response = eventStream({
    pingIntervalMs: 60_000,
    run(send) {
      sender.resolve(send)
      return finished.promise
    },
    errorBody: (error) => ({
      error: { message: String(error), type: 't', param: null, code: null },
    }),
    onCancel: () => void state.cancelled++,
    onEnd: () => void state.ended++,
    ...options,
  })
  return { response, state, finished, sender: sender.promise }
}

describe('a reader', () => {
  test('that reads gets events of any size at once', async () => {
    const { response, state, finished, sender } = openStream({ patienceMs: 0 })
    const send = await sender
    send({ text: MEBIBYTE.repeat(10) })
    finished.resolve()
    const text = await response.text()
    expect(text.length).toBeGreaterThan(10 * 2 ** 20)
    expect(state.cancelled).toBe(0)
  })

  test('that does not read for long is given up', async () => {
    const { response, state, finished, sender } = openStream({ patienceMs: 5 })
    const send = await sender
    for (let i = 0; state.cancelled === 0; i++) {
      // Some of it may wait: what is less than the bound is nobody's fault.
      if (i < 8) send({ text: MEBIBYTE })
      else send({ text: '' })
      await new Promise(setImmediate)
    }
    finished.resolve()
    await expect(response.text()).rejects.toThrow('does not read')
    expect(state).toEqual({ cancelled: 1, ended: 1 })
  })
})

describe('a fault', () => {
  test('stops what nobody will read, and is the last event', async () => {
    const { response, state, finished } = openStream()
    finished.reject('broken')
    expect(await response.text()).toEndWith(
      'data: {"error":{"message":"broken","type":"t","param":null,"code":null}}\n\n',
    )
    expect(state).toEqual({ cancelled: 1, ended: 1 })
  })

  test('before the first event is one, too', async () => {
    const { response, state } = openStream({
      run: async () => {
        throw new Error('at once')
      },
    })
    expect(await response.text()).toContain('at once')
    expect(state).toEqual({ cancelled: 1, ended: 1 })
  })
})

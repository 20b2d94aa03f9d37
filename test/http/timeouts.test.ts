// Requests that ran out of time, as the engine reports them: status, headers, body, error event.

import { describe, expect, test } from 'bun:test'
import { ApiError } from '../../src/errors.ts'
import { readEvents, testApp } from './test-app.ts'

const TIMEOUTS = [
  {
    code: 'queue_timeout',
    error: new ApiError(503, 'no slot became free within 1.5 s', {
      code: 'queue_timeout',
      retryAfter: 1.5,
    }),
    headers: { 'retry-after': '2', 'x-should-retry': null },
    type: 'unavailable_error',
  },
  {
    code: 'request_timeout',
    error: new ApiError(504, 'the request took longer than 30 s', { code: 'request_timeout' }),
    headers: { 'retry-after': null, 'x-should-retry': 'false' },
    type: 'timeout_error',
  },
]

describe.each(TIMEOUTS)('$code', ({ code, error, headers, type }) => {
  const body = { error: { message: error.message, type, param: null, code } }

  test('of a whole reply is its status, and ends the other choices', async () => {
    const { engine, lines, post } = testApp({ words: 'manual' })
    const pending = post({ prompt: ['a', 'b'], n: 2 })
    const generations = await engine.submitted(4)
    generations[0].emit('Once')
    generations[3].fail(error)
    const response = await pending
    expect(response.status).toBe(error.status)
    for (const [header, value] of Object.entries(headers)) {
      expect(response.headers.get(header)).toBe(value)
    }
    expect(await response.json()).toEqual(body)
    expect(generations.slice(0, 3).map(({ isAborted }) => isAborted)).toEqual([true, true, true])
    // The operator chose the limit: one line, and none of an error.
    expect(lines).toEqual([
      expect.objectContaining({
        level: 'info',
        status: error.status,
        finish: { error: 1, abort: 3 },
      }),
    ])
  })

  test('of a stream is its last event', async () => {
    const { engine, lines, post } = testApp({ words: 'manual' })
    const response = await post({ prompt: 'x', n: 2, stream: true })
    const [first, second] = engine.generations
    first.emit('Once')
    second.fail(error)
    const events = await readEvents(response)
    expect(events.at(-1)).toEqual(body)
    expect(first.isAborted).toBe(true)
    while (lines.length === 0) await new Promise(setImmediate)
    expect(lines.at(-1)).toMatchObject({ stream: true, finish: { error: 1, abort: 1 } })
  })
})

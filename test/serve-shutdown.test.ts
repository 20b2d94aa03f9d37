// The three phases of a server's end, what the log says of each, and what a second signal does.

import { afterEach, describe, expect, spyOn, test } from 'bun:test'
import { Drain } from '../src/http/guard/drain.ts'
import { createLogger } from '../src/log.ts'
import { Shutdown, type ShutdownOptions } from '../src/serve/shutdown.ts'

const HOUR = 3_600_000

/** A server with one request at work. */
function serving(options: Partial<ShutdownOptions> = {}) {
  const drain = new Drain()
  drain.enter()
  const lines: Record<string, unknown>[] = []
  const log = createLogger({ format: 'json', write: (line) => void lines.push(JSON.parse(line)) })
  const ended = Promise.withResolvers<void>()
  let ends = 0
  const shutdown = new Shutdown({
    ...{ drain, log, drainDelayMs: 0, timeoutMs: HOUR },
    stats: () => ({ running: 2, waiting: 3 }),
    delivered: async () => {},
    end: () => {
      ends++
      ended.resolve()
    },
    ...options,
  })
  return { shutdown, drain, lines, ended: ended.promise, ends: () => ends }
}

const counts = { requests: 1, running: 2, waiting: 3 }

describe('a shutdown', () => {
  let clock: ReturnType<typeof spyOn> | undefined

  afterEach(() => {
    clock?.mockRestore()
  })

  /** Every signal is so many milliseconds after the one before. */
  function signalsApart(milliseconds: number) {
    let now = performance.now()
    clock = spyOn(performance, 'now').mockImplementation(() => {
      now += milliseconds
      return now
    })
  }

  test('takes requests for the delay, then refuses them, and ends with the last', async () => {
    const { shutdown, drain, lines, ended, ends } = serving({ drainDelayMs: 5 })
    shutdown.signal('SIGTERM')
    expect(drain.isAnnounced).toBe(true)
    expect(drain.isActive).toBe(false)
    while (!drain.isActive) await new Promise(setImmediate)
    expect(ends()).toBe(0)
    drain.leave()
    await ended
    expect(lines).toMatchObject([
      { level: 'info', message: expect.stringContaining('SIGTERM: not ready'), ...counts },
      { level: 'info', message: expect.stringContaining('refusing new requests'), ...counts },
      { level: 'info', message: 'all requests have ended' },
    ])
    expect(ends()).toBe(1)
  })

  test('cuts what still runs when the time is over', async () => {
    const { shutdown, drain, lines, ended, ends } = serving({ timeoutMs: 5 })
    shutdown.signal('SIGINT')
    expect(drain.isActive).toBe(true)
    await ended
    expect(lines).toMatchObject([
      { level: 'info', message: expect.stringContaining('SIGINT: refusing new'), ...counts },
      { level: 'warn', message: expect.stringContaining('--shutdown-timeout is over'), ...counts },
    ])
    drain.leave()
    await new Promise(setImmediate)
    expect(ends()).toBe(1)
    expect(lines.length).toBe(2)
  })

  test.each([0, HOUR])('is cut by a later signal, with a delay of %d ms', async (drainDelayMs) => {
    const { shutdown, lines, ended, ends } = serving({ drainDelayMs })
    signalsApart(501)
    shutdown.signal('SIGTERM')
    expect(ends()).toBe(0)
    shutdown.signal('SIGTERM')
    await ended
    expect(lines.at(-1)).toMatchObject({ level: 'warn', ...counts })
    expect(lines.at(-1)!.message).toContain('SIGTERM again')
    shutdown.signal('SIGTERM')
    expect(ends()).toBe(1)
    expect(lines.length).toBe(2)
  })

  test('takes a signal that comes at once for the same', async () => {
    const { shutdown, drain, lines, ended, ends } = serving()
    signalsApart(500)
    shutdown.signal('SIGINT')
    shutdown.signal('SIGINT')
    expect(ends()).toBe(0)
    drain.leave()
    await ended
    expect(lines.map(({ message }) => message)).toEqual([
      'SIGINT: refusing new requests, waiting for running ones',
      'all requests have ended',
    ])
  })
})

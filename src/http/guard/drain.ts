// The end of a server's life: requests that were accepted finish, new ones are sent elsewhere.

import type { MiddlewareHandler } from 'hono'
import type { AppEnv } from '../context.ts'
import { errorResponse, unavailable } from '../errors.ts'

/** Counts the requests at work, so that the last one can be waited for. */
export class Drain {
  #running = 0
  #isAnnounced = false
  #isActive = false
  readonly #emptied = Promise.withResolvers<void>()
  /** By each request whose reply has not begun: ends its wait. */
  readonly #cuts = new Set<(reason: Error) => void>()

  /** Whether the server is about to stop and says so to whoever asks if it is ready. */
  get isAnnounced(): boolean {
    return this.#isAnnounced
  }

  /** Whether new work is refused. */
  get isActive(): boolean {
    return this.#isActive
  }

  /** Requests at work: waiting in the queue, running, or streaming. */
  get running(): number {
    return this.#running
  }

  /** Counts a request until `leave`; throws ApiError 503 if it comes too late. */
  enter(): void {
    if (this.#isActive) throw this.refusal()
    this.#running++
  }

  leave(): void {
    this.#running--
    this.#settle()
  }

  /** From here on the server is not ready any more, and still takes what comes. */
  announce(): void {
    this.#isAnnounced = true
  }

  /** From here on new work is refused; resolves when no request is at work. */
  begin(): Promise<void> {
    this.#isAnnounced = true
    this.#isActive = true
    this.#settle()
    return this.#emptied.promise
  }

  /** Like `begin`, and ends by ApiError 503 all that waits for a reply, be it at work or not. */
  cut(): void {
    this.begin()
    const message = 'the server stopped this request before it was finished'
    for (const reject of this.#cuts) reject(unavailable(message, 'request_aborted'))
  }

  /** What the work resolves to, unless it is cut before. */
  async untilCut<Value>(work: Promise<Value>): Promise<Value> {
    const { promise, reject } = Promise.withResolvers<never>()
    this.#cuts.add(reject)
    try {
      return await Promise.race([work, promise])
    } finally {
      this.#cuts.delete(reject)
    }
  }

  /** What a request is told that comes during a drain. */
  refusal(): Error {
    return unavailable('the server is shutting down and takes no new requests', 'draining')
  }

  #settle(): void {
    if (this.#isActive && this.#running === 0) this.#emptied.resolve()
  }
}

/**
 * For routes that bring work: counts their requests from when their bodies are in until their records
 * end. During a drain new ones get status 503, and every reply ends its connection, so that a balancer
 * opens the next one elsewhere.
 */
export function countWork(drain: Drain): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    const record = c.get('record')
    record.onBegin(() => {
      drain.enter()
      record.onEnd(() => drain.leave())
    })
    try {
      if (drain.isActive) throw drain.refusal()
      await drain.untilCut(next())
    } catch (error) {
      c.res = errorResponse(error, c)
    }
    if (drain.isActive) c.res.headers.set('connection', 'close')
  }
}

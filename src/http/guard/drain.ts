// The end of a server's life: requests that were accepted finish, new ones are sent elsewhere.

import type { MiddlewareHandler } from 'hono'
import { ApiError } from '../../errors.ts'
import type { AppEnv } from '../context.ts'
import { errorResponse } from '../errors.ts'

/** Seconds until a client may find another server behind the address. */
export const RETRY_AFTER = 2

/** Counts the requests at work, so that the last one can be waited for. */
export class Drain {
  #running = 0
  #isActive = false
  readonly #emptied = Promise.withResolvers<void>()

  /** Whether new work is refused. */
  get isActive(): boolean {
    return this.#isActive
  }

  /** Requests at work: waiting in the queue, running, or streaming. */
  get running(): number {
    return this.#running
  }

  enter(): void {
    this.#running++
  }

  leave(): void {
    this.#running--
    this.#settle()
  }

  /** From here on new work is refused; resolves when no request is at work. */
  begin(): Promise<void> {
    this.#isActive = true
    this.#settle()
    return this.#emptied.promise
  }

  #settle(): void {
    if (this.#isActive && this.#running === 0) this.#emptied.resolve()
  }
}

/**
 * Counts requests that bring work, which are those with method POST, until their records end;
 * during a drain they get status 503 and lose their connection, so that a balancer opens the next
 * one elsewhere.
 */
export function refuseWhileDraining(drain: Drain): MiddlewareHandler<AppEnv> {
  return async (c, next) => {
    if (c.req.method !== 'POST') return next()
    if (drain.isActive) {
      const error = new ApiError(503, 'the server is shutting down and takes no new requests', {
        code: 'draining',
        retryAfter: RETRY_AFTER,
      })
      const response = errorResponse(error, c)
      response.headers.set('connection', 'close')
      return response
    }
    drain.enter()
    c.get('record').onEnd(() => drain.leave())
    return next()
  }
}

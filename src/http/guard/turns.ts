// Requests that arrive together begin one by one, so that what others wait for gets in between.

import type { MiddlewareHandler } from 'hono'
import type { AppEnv } from '../context.ts'

/**
 * Lets one request begin in each round of the event loop. Reading a prompt takes about half a
 * millisecond, of 200 that connect at once 100 ms, in which no probe was answered and no stream got
 * its tokens. A request that comes alone does not wait.
 */
export function takeTurns(): MiddlewareHandler<AppEnv> {
  const waiting: (() => void)[] = []
  let isTaken = false
  const pass = () => {
    const next = waiting.shift()
    if (next === undefined) isTaken = false
    else {
      setImmediate(pass)
      next()
    }
  }
  return async (_, next) => {
    if (isTaken) await new Promise<void>((resolve) => waiting.push(resolve))
    else {
      isTaken = true
      setImmediate(pass)
    }
    await next()
  }
}

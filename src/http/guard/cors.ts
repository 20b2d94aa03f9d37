// Which web pages may call this server from a browser.

import type { MiddlewareHandler } from 'hono'
import { cors } from 'hono/cors'
import type { AppEnv } from '../context.ts'

/** Seconds that a browser may keep the answer to a preflight. */
const PREFLIGHT_MAX_AGE = 600

/**
 * Answers preflights, and marks all replies, errors and streams included, as readable for pages of
 * these origins; `*` is every origin. Browsers may send any header: what a client library adds
 * changes from version to version. Cookies and other credentials of the browser stay out of it.
 */
export function allowOrigins(origins: readonly string[]): MiddlewareHandler<AppEnv> {
  const handle = cors({
    origin: origins.includes('*') ? '*' : [...origins],
    allowMethods: ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS'],
    exposeHeaders: ['x-request-id', 'retry-after'],
    maxAge: PREFLIGHT_MAX_AGE,
  })
  return (c, next) => {
    const isPreflight =
      c.req.header('origin') !== undefined &&
      c.req.header('access-control-request-method') !== undefined
    // Any other OPTIONS request is for the routes, behind the check of API keys.
    return c.req.method === 'OPTIONS' && !isPreflight ? next() : handle(c, next)
  }
}

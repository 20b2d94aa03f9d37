// Which web pages may call this server from a browser.

import type { MiddlewareHandler } from 'hono'
import { cors } from 'hono/cors'
import { ApiError } from '../../errors.ts'
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

/**
 * Refuses the work that pages of other origins send: a browser sends some POST requests without asking
 * the server first, and only keeps the reply from the page. Clients other than browsers send none of
 * these headers. Throws ApiError 403 before the body is read.
 */
export function refuseOtherPages(allowed: readonly string[]): MiddlewareHandler<AppEnv> {
  return (c, next) => {
    const { method } = c.req
    if (allowed.includes('*') || (method !== 'POST' && method !== 'DELETE')) return next()
    const origin = c.req.header('origin')
    const isForeign =
      origin === undefined
        ? c.req.header('sec-fetch-site') === 'cross-site'
        : !allowed.includes(origin) && !isOfHost(origin, c.req.header('host'))
    if (!isForeign) return next()
    const page = origin === undefined ? 'another site' : origin.slice(0, 200)
    throw new ApiError(403, `pages of ${page} may not call this server; --allow-origin lets them`, {
      code: 'origin_not_allowed',
    })
  }
}

function isOfHost(origin: string, host: string | undefined): boolean {
  return host !== undefined && URL.parse(origin)?.host === host
}

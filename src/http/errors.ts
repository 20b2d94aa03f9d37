// Turns whatever was thrown into an OpenAI error reply.

import type { Context } from 'hono'
import { ApiError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { AppEnv } from './context.ts'

/**
 * The error a client gets to see. Anything but an ApiError is our fault: its stack goes to the log,
 * the client gets status 500 and the request id to report.
 */
export function toApiError(error: unknown, requestId: string, log: Logger): ApiError {
  if (error instanceof ApiError) return error
  log.error('request failed', { error: error instanceof Error ? error : new Error(String(error)) })
  return new ApiError(500, `internal server error; request id ${requestId}`, {
    code: 'internal_error',
  })
}

/** The reply for an error that was thrown before the status line was sent. */
export function errorResponse(error: unknown, c: Context<AppEnv>): Response {
  // Nobody reads this reply; 499 is what nginx logs for a client that hung up.
  if (c.req.raw.signal.aborted) return new Response(undefined, { status: 499 })
  const apiError = toApiError(error, c.get('requestId'), c.get('record').log)
  const headers = new Headers()
  // The header counts whole seconds.
  const { retryAfter } = apiError
  if (retryAfter !== undefined) headers.set('retry-after', String(Math.ceil(retryAfter)))
  // OpenAI's SDKs repeat whatever failed with 5xx; the same work would only run out of time again.
  if (apiError.status === 504) headers.set('x-should-retry', 'false')
  return Response.json(apiError.body(), { status: apiError.status, headers })
}

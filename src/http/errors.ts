// Turns whatever was thrown into an OpenAI error reply.

import type { Context } from 'hono'
import { ApiError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { AppEnv } from './context.ts'

/** Seconds until this server, or another one behind its address, may take requests. */
export const RETRY_AFTER = 2

/** Status 503 for what would work at another time or elsewhere. */
export function unavailable(message: string, code: string): ApiError {
  return new ApiError(503, message, { code, retryAfter: RETRY_AFTER })
}

/**
 * The error a client gets to see. Anything but an ApiError is our fault: its stack goes to the log,
 * the client gets status 500 and the request id to report.
 */
export function toApiError(error: unknown, c: Context<AppEnv>): ApiError {
  const record = c.get('record')
  const known = error instanceof ApiError ? error : ourFault(error, c.get('requestId'), record.log)
  record.error = known
  return known
}

function ourFault(error: unknown, requestId: string, log: Logger): ApiError {
  log.error('request failed', { error: error instanceof Error ? error : new Error(String(error)) })
  return new ApiError(500, `internal server error; request id ${requestId}`, {
    code: 'internal_error',
  })
}

/** The reply for an error that was thrown before the status line was sent. */
export function errorResponse(error: unknown, c: Context<AppEnv>): Response {
  const record = c.get('record')
  record.isStreaming = false
  const isGone = c.req.raw.signal.aborted
  // A body that broke off is the client's doing; and what fails after a reply was cut follows from that.
  if ((isGone && !record.hasBegun) || record.hasEnded) return hungUp()
  const apiError = toApiError(error, c)
  return isGone ? hungUp() : jsonResponse(apiError)
}

/** An error in OpenAI's format with the headers that go with it. */
function jsonResponse(error: ApiError): Response {
  const headers = new Headers()
  // The header counts whole seconds.
  const { retryAfter } = error
  if (retryAfter !== undefined) headers.set('retry-after', String(Math.ceil(retryAfter)))
  // OpenAI's SDKs repeat whatever failed with 5xx; the same work would only run out of time again.
  if (error.status === 504) headers.set('x-should-retry', 'false')
  return Response.json(error.body(), { status: error.status, headers })
}

/** Nobody reads this reply, its status is for the log: 499 is nginx's for a client that hung up. */
export function hungUp(): Response {
  return new Response(undefined, { status: 499 })
}

// Requests that wait too long for a slot, or take too long in all.
import { ApiError } from '../errors.ts'
import type { Sequence } from './sequence.ts'

/** Milliseconds; undefined: no bound. */
export interface Deadlines {
  /** That a request waits for a slot. */
  queueTimeoutMs?: number
  /** From its arrival until it has ended. */
  requestTimeoutMs?: number
}

/**
 * Why a sequence must end now; undefined if it need not. To be called at every step: the time in
 * which another sequence computes something for one that waits is no time in the queue.
 * @param now milliseconds
 */
export function lateness(
  sequence: Sequence,
  { queueTimeoutMs = Infinity, requestTimeoutMs = Infinity }: Deadlines,
  now: number,
): ApiError | undefined {
  const { arrival, slot, provider } = sequence
  if (provider?.slot !== undefined) sequence.queuedSince = now
  if (slot === undefined && now - sequence.queuedSince > queueTimeoutMs) {
    const message = `no slot was free for ${queueTimeoutMs / 1000} s`
    return new ApiError(503, message, { code: 'queue_timeout', retryAfter: 1 })
  }
  if (now - arrival <= requestTimeoutMs) return undefined
  const message = `the request was not finished within ${requestTimeoutMs / 1000} s`
  return new ApiError(504, message, { code: 'request_timeout' })
}

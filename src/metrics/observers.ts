// From what the engine and the HTTP layer tell to metrics. The shapes are those of
// engine/observer.ts and http/observer.ts, which this layer does not import.

import type { Metrics } from './registry.ts'
import type { Endpoint, FinishReason, Phase } from './table.ts'

/** What the engine tells; see engine/observer.ts. */
export function engineMetrics(metrics: Metrics) {
  return {
    step(step: { sequences: number; tokens: number; seconds: number; phase: Phase }): void {
      const { phase, seconds } = step
      metrics.increment('gpu_busy_seconds_total', { phase }, seconds)
      metrics.observe('step_duration_seconds', seconds, { phase })
      metrics.observe('step_batch_size', step.sequences)
      metrics.observe('step_tokens', step.tokens)
    },
    prompt({ tokens, cached }: { tokens: number; cached: number }): void {
      metrics.increment('prompt_tokens_total', {}, tokens)
      metrics.increment('prefix_cache_queried_tokens_total', {}, tokens)
      metrics.increment('prefix_cache_hit_tokens_total', {}, cached)
    },
    token(secondsSinceLast: number | undefined): void {
      metrics.increment('generation_tokens_total')
      if (secondsSinceLast === undefined) return
      metrics.observe('inter_token_latency_seconds', secondsSinceLast)
    },
    ended(seconds: { queue?: number; prefill?: number; decode?: number }): void {
      const { queue, prefill, decode } = seconds
      if (queue !== undefined) metrics.observe('request_queue_seconds', queue)
      if (prefill !== undefined) metrics.observe('request_prefill_seconds', prefill)
      if (decode !== undefined) metrics.observe('request_decode_seconds', decode)
    },
  }
}

/** An HTTP request that has ended; see http/observer.ts. */
interface EndedRequest {
  route: string
  method: string
  status: number
  seconds: number
  /** Code and status of the error that it ended with. */
  error?: { status: number; code: string | undefined }
  /** Of requests that generate. */
  generation?: {
    endpoint: Endpoint
    finish: FinishReason
    promptTokens: number
    completionTokens: number
    maxTokens: number | undefined
    ttftSeconds: number | undefined
  }
}

/** What the HTTP layer tells; see http/observer.ts. */
export function httpMetrics(metrics: Metrics) {
  return {
    ended({ route, method, status, seconds, error, generation }: EndedRequest): void {
      metrics.increment('http_requests_total', { route, method, status: String(status) })
      metrics.observe('http_request_duration_seconds', seconds, { route, method })
      if (error) countError(metrics, error)
      if (generation === undefined) return
      const { endpoint, finish, ttftSeconds, maxTokens } = generation
      metrics.increment('requests_total', { endpoint, finish_reason: finish })
      metrics.observe('request_duration_seconds', seconds)
      metrics.observe('request_prompt_tokens', generation.promptTokens)
      metrics.observe('request_generation_tokens', generation.completionTokens)
      if (maxTokens !== undefined) metrics.observe('request_max_tokens', maxTokens)
      if (ttftSeconds !== undefined) metrics.observe('time_to_first_token_seconds', ttftSeconds)
    },
    /** Makes the series of a route before its first request. */
    route(route: string, method: string): void {
      metrics.increment('http_requests_total', { route, method, status: '200' }, 0)
    },
  }
}

/** Codes of errors that turn a request away for now. */
const REJECTED: Readonly<Record<string, string>> = {
  queue_full: 'queue_full',
  draining: 'draining',
  request_aborted: 'draining',
  loading: 'draining',
  queue_timeout: 'timeout',
  request_timeout: 'timeout',
}

function countError(metrics: Metrics, { status, code }: NonNullable<EndedRequest['error']>): void {
  const rejection = REJECTED[code ?? '']
  if (rejection) metrics.increment('requests_rejected_total', { reason: rejection })
  else metrics.increment('request_errors_total', { reason: reasonOf(status, code) })
}

function reasonOf(status: number, code: string | undefined): string {
  if (status === 401 || status === 403) return 'auth'
  if (status >= 500) return 'internal'
  return code === 'context_length_exceeded' ? 'context_length' : 'validation'
}

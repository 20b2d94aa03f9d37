// What the HTTP layer tells whoever watches it, for metrics: one call for each request, at its end.

import type { Ending } from './request-record.ts'

/** Routes that generate, as metrics name them. */
export const ENDPOINTS = {
  '/v1/completions': 'completions',
  '/v1/chat/completions': 'chat_completions',
  '/v1/responses': 'responses',
} as const
export type Endpoint = (typeof ENDPOINTS)[keyof typeof ENDPOINTS]

export interface EndedRequest {
  /** Pattern of the route, never the path itself; `other` if there is none. */
  route: string
  /** One of HTTP's own, else `other`. */
  method: string
  status: number
  /** From the first byte to the last one of the reply. */
  seconds: number
  /** The error that it ended with, also in a stream whose status was 200. */
  error?: { status: number; code: string | undefined }
  /** Of requests that generate. */
  generation?: {
    endpoint: Endpoint
    /** The worst end of its choices. */
    finish: Ending
    promptTokens: number
    completionTokens: number
    /** Most tokens of a choice. */
    maxTokens: number | undefined
    ttftSeconds: number | undefined
  }
}

export interface HttpObserver {
  ended(request: EndedRequest): void
  /** Told of every route at the start. */
  route(route: string, method: string): void
}

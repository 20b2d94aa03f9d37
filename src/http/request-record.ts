// What the log tells about one HTTP request: one line when it has ended, without its text unless the
// operator asked for that.

import type { CacheUse, FinishReason, Output } from '../engine/request.ts'
import type { ApiError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { ENDPOINTS, type EndedRequest, type Endpoint } from './observer.ts'
import { POLLED_PATHS } from './system/probes.ts'

/** How one choice of a request ended: as the model did, or because the client or the server left. */
export type Ending = FinishReason | 'abort' | 'error'

/** Of several choices the worst end stands for all. */
const WORST_FIRST: readonly Ending[] = ['error', 'abort', 'length', 'stop']

/** Most characters of prompts in one line. */
const MAX_PROMPT = 2000

/**
 * Collects the figures of one request and logs them once. A request with a body begins its work when
 * the body is in, and ends with the last byte of its reply.
 */
export class RequestRecord {
  /** A streamed answer outlives its handler: the stream ends the record then. */
  isStreaming = false
  promptTokens = 0
  completionTokens = 0
  cachedTokens = 0
  cacheWriteTokens = 0
  /** The name of the model that generates; undefined for requests that do not. */
  model: string | undefined
  /** Most tokens that it may generate for each choice. */
  maxTokens: number | undefined
  /** What it ended with, if it failed, also in the midst of a stream. */
  error: Pick<ApiError, 'status' | 'code'> | undefined
  /** The longest that one of its choices waited for a slot, in milliseconds. */
  #queuedMs: number | undefined
  readonly #started = performance.now()
  readonly #beginCallbacks: (() => void)[] = []
  readonly #endCallbacks: ((status: number) => void)[] = []
  #prompt: string | undefined
  readonly #endings = new Map<Ending, number>()
  #firstTokenMs: number | undefined
  #hasBegun = false
  #hasEnded = false

  constructor(
    readonly log: Logger,
    readonly method: string,
    readonly path: string,
    /** Whether the log may tell what clients write. */
    readonly showsPrompts = false,
  ) {}

  /** Notes a prompt for the log; reads it only if the operator asked for that. */
  addPrompt(read: () => string): void {
    if (!this.showsPrompts) return
    const prompts = this.#prompt === undefined ? read() : `${this.#prompt}\n${read()}`
    this.#prompt = prompts.slice(0, MAX_PROMPT)
  }

  /** Whether the body is in. */
  get hasBegun(): boolean {
    return this.#hasBegun
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** Calls back once the body is in; what it throws ends the request. */
  onBegin(callback: () => void): void {
    this.#beginCallbacks.push(callback)
  }

  /** Calls back once the request has ended; for a stream that is after its last event. */
  onEnd(callback: (status: number) => void): void {
    this.#endCallbacks.push(callback)
  }

  /** The body is in: the work begins. */
  begin(): void {
    this.#hasBegun = true
    for (const callback of this.#beginCallbacks) callback()
  }

  /** Counts what one output of a generation brought. */
  addOutput(output: Output): void {
    if (output.tokens.length > 0) this.#firstTokenMs ??= this.#elapsedMs()
    this.completionTokens += output.tokens.length
    if (output.queuedMs !== undefined) {
      this.#queuedMs = Math.max(this.#queuedMs ?? 0, output.queuedMs)
    }
  }

  /** Counts what the prefix cache did for one prompt, once that is known. */
  addCacheUse(use: CacheUse | undefined): void {
    this.cachedTokens += use?.read ?? 0
    this.cacheWriteTokens += use?.written ?? 0
  }

  /** Counts the end of one choice. */
  addEnding(ending: Ending): void {
    this.#endings.set(ending, (this.#endings.get(ending) ?? 0) + 1)
  }

  /** Writes the line; further calls do nothing. */
  end(status: number): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    const generates = this.#endings.size > 0
    const level = POLLED_PATHS.includes(this.path) ? 'debug' : 'info'
    this.log[level]('request', {
      method: this.method,
      path: this.path.slice(0, 200),
      status,
      model: generates ? this.model : undefined,
      stream: generates ? this.isStreaming : undefined,
      finish: generates ? Object.fromEntries(this.#endings) : undefined,
      prompt_tokens: generates ? this.promptTokens : undefined,
      cached_tokens: generates ? this.cachedTokens : undefined,
      completion_tokens: generates ? this.completionTokens : undefined,
      queue_ms: this.#queuedMs === undefined ? undefined : tenths(this.#queuedMs),
      ttft_ms: this.#firstTokenMs,
      total_ms: this.#elapsedMs(),
      prompt: this.#prompt,
    })
    for (const callback of this.#endCallbacks) callback(status)
  }

  /** What metrics count of it, once it has ended. */
  figures(route: string, method: string, status: number): EndedRequest {
    const endpoint: Endpoint | undefined = ENDPOINTS[route as keyof typeof ENDPOINTS]
    const finish = WORST_FIRST.find((ending) => this.#endings.has(ending))
    const generation = endpoint &&
      finish && {
        ...{ endpoint, finish, maxTokens: this.maxTokens },
        promptTokens: this.promptTokens,
        completionTokens: this.completionTokens,
        ttftSeconds: this.#firstTokenMs === undefined ? undefined : this.#firstTokenMs / 1000,
      }
    const { error } = this
    return { route, method, status, seconds: this.#elapsedMs() / 1000, error, generation }
  }

  #elapsedMs(): number {
    return tenths(performance.now() - this.#started)
  }
}

function tenths(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10
}

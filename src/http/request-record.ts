// What the log tells about one HTTP request: one line when it has ended, never its text.

import type { CacheUse, FinishReason, Output } from '../engine/request.ts'
import type { Logger } from '../log.ts'

/** How one choice of a request ended: as the model did, or because the client or the server left. */
export type Ending = FinishReason | 'abort' | 'error'

/** Collects the figures of one request and logs them once. */
export class RequestRecord {
  /** A streamed answer outlives its handler: the stream ends the record then. */
  isStreaming = false
  promptTokens = 0
  completionTokens = 0
  cachedTokens = 0
  cacheWriteTokens = 0
  readonly #started = performance.now()
  readonly #endings = new Map<Ending, number>()
  #firstTokenMs: number | undefined
  #isEnded = false

  constructor(
    readonly log: Logger,
    readonly method: string,
    readonly path: string,
  ) {}

  /** Counts what one output of a generation brought. */
  addOutput(output: Output): void {
    if (output.tokens.length > 0) this.#firstTokenMs ??= this.#elapsedMs()
    this.completionTokens += output.tokens.length
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
    if (this.#isEnded) return
    this.#isEnded = true
    const generates = this.#endings.size > 0
    // Probes come every few seconds for ever; they would bury the rest.
    const level = this.path === '/health' && status === 200 ? 'debug' : 'info'
    this.log[level]('request', {
      method: this.method,
      path: this.path.slice(0, 200),
      status,
      stream: generates ? this.isStreaming : undefined,
      finish: generates ? Object.fromEntries(this.#endings) : undefined,
      prompt_tokens: generates ? this.promptTokens : undefined,
      cached_tokens: generates ? this.cachedTokens : undefined,
      completion_tokens: generates ? this.completionTokens : undefined,
      ttft_ms: this.#firstTokenMs,
      total_ms: this.#elapsedMs(),
    })
  }

  #elapsedMs(): number {
    return Math.round((performance.now() - this.#started) * 10) / 10
  }
}

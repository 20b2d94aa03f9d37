// From a signal to the end of the server, in three phases: /ready says no while requests are still
// taken (balancers learn of it late), new requests are refused while those taken finish, the rest is cut.

import type { Drain } from '../http/guard/drain.ts'
import type { Logger } from '../log.ts'

/**
 * Ctrl-C reaches a process that a package runner started twice: from the terminal and passed on
 * by the runner. Only a later one is a second wish.
 */
const SAME_SIGNAL_MS = 500

export interface ShutdownOptions {
  drain: Drain
  log: Logger
  /** Counts for the log. */
  stats(): { running: number; waiting: number }
  /** --drain-delay and --shutdown-timeout, in milliseconds. */
  drainDelayMs: number
  timeoutMs: number
  /** Resolves when clients have all of the replies that were made. */
  delivered(): Promise<void>
  /** Ends the server; called once. */
  end(): void
}

export class Shutdown {
  #firstSignal: number | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #hasEnded = false

  constructor(readonly options: ShutdownOptions) {}

  /** The first signal begins; a later one ends all at once. */
  signal(signal: string): void {
    const now = performance.now()
    if (this.#firstSignal !== undefined) {
      if (now - this.#firstSignal <= SAME_SIGNAL_MS || this.#hasEnded) return
      this.options.log.warn(`${signal} again: cutting what still runs`, this.#counts())
      this.#end()
      return
    }
    this.#firstSignal = now
    const { drain, log, drainDelayMs } = this.options
    drain.announce()
    if (drainDelayMs === 0) {
      this.#drain(`${signal}: `)
      return
    }
    const seconds = drainDelayMs / 1000
    const message = `${signal}: not ready any more, still taking requests for ${seconds} s`
    log.info(message, this.#counts())
    this.#timer = setTimeout(() => this.#drain('--drain-delay is over: '), drainDelayMs)
  }

  #drain(why: string): void {
    const { drain, log, timeoutMs, delivered } = this.options
    log.info(`${why}refusing new requests, waiting for running ones`, this.#counts())
    this.#timer = setTimeout(() => {
      log.warn('--shutdown-timeout is over: cutting what still runs', this.#counts())
      this.#end()
    }, timeoutMs)
    // The listener stays open for probes and refusals until the last request has been answered.
    drain.begin().then(async () => {
      await delivered()
      if (!this.#hasEnded) log.info('all requests have ended')
      this.#end()
    })
  }

  #end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    clearTimeout(this.#timer)
    this.options.end()
  }

  #counts() {
    const { running, waiting } = this.options.stats()
    return { requests: this.options.drain.running, running, waiting }
  }
}

// A line in the log every few seconds while the engine works: what an operator looks at first.

/** Counts of a moment. */
export interface Load {
  running: number
  waiting: number
  slots: number
  freeSlots: number
}

type Write = (message: string, fields: Record<string, unknown>) => void

/** Tokens since the last line; told by the engine, written by `tick`. */
export class Activity {
  #prompt = 0
  #cached = 0
  #generated = 0
  #since: number

  /** @param now milliseconds on any steady clock */
  constructor(
    readonly load: () => Load,
    readonly write: Write,
    readonly now: () => number = () => performance.now(),
  ) {
    this.#since = now()
  }

  prompt({ tokens, cached }: { tokens: number; cached: number }): void {
    this.#prompt += tokens
    this.#cached += cached
  }

  token(): void {
    this.#generated++
  }

  /** Writes a line unless nothing runs and nothing has happened since the last one. */
  tick(): void {
    const now = this.now()
    const seconds = (now - this.#since) / 1000
    const { running, waiting, slots, freeSlots } = this.load()
    if (running + waiting + this.#prompt + this.#generated > 0) {
      this.write('activity', {
        ...{ running, waiting, slots_used: slots - freeSlots, slots },
        prompt_tokens_per_s: rate(this.#prompt, seconds),
        generation_tokens_per_s: rate(this.#generated, seconds),
        prefix_hit_rate:
          this.#prompt === 0 ? undefined : Math.round((this.#cached / this.#prompt) * 1000) / 1000,
      })
    }
    this.#since = now
    this.#prompt = 0
    this.#cached = 0
    this.#generated = 0
  }
}

function rate(count: number, seconds: number): number {
  return seconds > 0 ? Math.round((count / seconds) * 10) / 10 : 0
}

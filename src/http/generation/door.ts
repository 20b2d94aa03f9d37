// The door before the queue: what could never run and what finds no room is turned away here, before
// it costs anything, and those on their way from the door to the queue are counted.

import type { Engine } from '../../engine/request.ts'
import { ApiError } from '../../errors.ts'

/** How many samples of each prompt, and the field that asks for them. */
export interface Samples {
  count: number
  field: 'n' | 'best_of'
}

export class Door {
  /** Generations that were let in and are not in the queue yet: their grammar is compiled. */
  #entering = 0

  constructor(
    readonly engine: Pick<Engine, 'stats'>,
    /** Most sequences in the queue. */
    readonly maxQueue: number,
  ) {}

  /**
   * Throws ApiError 400 if so many generations could never be admitted together, 429 if the queue
   * has no room now.
   * @param prompts their number
   */
  check(prompts: number, samples: Samples): void {
    const generations = prompts * samples.count
    const room = this.engine.stats().slots + this.maxQueue
    if (generations > room) {
      throw new ApiError(
        400,
        `prompts times ${samples.field} is ${generations}; at most ${room} are allowed`,
        { param: prompts > 1 ? 'prompt' : samples.field },
      )
    }
    this.#checkQueue(generations)
  }

  /** Does what must be done before generations can be queued; they have their places meanwhile. */
  async hold<Value>(generations: number, work: () => Promise<Value>): Promise<Value> {
    this.#checkQueue(generations)
    this.#entering += generations
    try {
      return await work()
    } finally {
      this.#entering -= generations
    }
  }

  #checkQueue(generations: number): void {
    const { freeSlots, waiting } = this.engine.stats()
    const before = waiting + this.#entering
    if (before + generations <= freeSlots + this.maxQueue) return
    throw new ApiError(429, `the queue is full: ${before} sequences are waiting`, {
      code: 'queue_full',
      retryAfter: 1,
    })
  }
}

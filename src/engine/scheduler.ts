// Decides what the next step holds: a token of every decoding sequence, and slices of prompts up
// to a budget, first come first served. Pure bookkeeping, no GPU.
import { CHUNK } from '../gpu/step.ts'
import type { Sequence } from './sequence.ts'
import type { StatePool } from './state-pool.ts'

export interface SchedulerLimits {
  /** Most prompt tokens in a step; at least one chunk. */
  promptTokens: number
  /** Most prompt tokens in a step whose logits are wanted; at least one chunk. */
  scoredTokens: number
}

/** A sequence's part of a step. */
export interface Share {
  sequence: Sequence
  slot: number
  /** Tokens it processes, from sequence.position on. */
  count: number
  decode: boolean
  /** The slot was just taken and must be cleared. */
  fresh: boolean
}

export class Scheduler {
  readonly #waiting: Sequence[] = []
  readonly #running: Sequence[] = []

  constructor(
    readonly pool: StatePool,
    readonly limits: SchedulerLimits,
  ) {}

  get waiting(): number {
    return this.#waiting.length
  }

  get running(): number {
    return this.#running.length
  }

  /** Every sequence that has not ended, in order of arrival. */
  get sequences(): Sequence[] {
    return [...this.#running, ...this.#waiting]
  }

  add(sequence: Sequence): void {
    this.#waiting.push(sequence)
  }

  /** Forgets a sequence wherever it is; its slot is free at once. */
  remove(sequence: Sequence): void {
    for (const list of [this.#waiting, this.#running]) {
      const index = list.indexOf(sequence)
      if (index >= 0) list.splice(index, 1)
    }
    if (sequence.slot === undefined) return
    this.pool.giveBack(sequence.slot)
    sequence.slot = undefined
  }

  /**
   * The next step: decode rows first. Decoding sequences are in every step, so they never wait
   * longer than one budget of prompt tokens; prompts go in order of arrival, so none starves.
   */
  next(): Share[] {
    const shares: Share[] = []
    for (const sequence of this.#running) {
      if (!sequence.prefilling) shares.push(share(sequence, 1, true, false))
    }
    const budget = { ...this.limits }
    const spend = (sequence: Sequence, fresh: boolean): boolean => {
      const count = sliceLength(sequence, budget)
      if (count === 0) return false
      budget.promptTokens -= count
      if (sequence.scoresPrompt) budget.scoredTokens -= count
      shares.push(share(sequence, count, false, fresh))
      return true
    }
    for (const sequence of this.#running) {
      if (sequence.prefilling && !spend(sequence, false)) return shares
    }
    while (this.#waiting.length > 0 && sliceLength(this.#waiting[0], budget) > 0) {
      const slot = this.pool.take()
      if (slot === undefined) break
      const sequence = this.#waiting.shift()!
      sequence.slot = slot
      this.#running.push(sequence)
      spend(sequence, true)
    }
    return shares
  }
}

function share(sequence: Sequence, count: number, decode: boolean, fresh: boolean): Share {
  return { sequence, slot: sequence.slot!, count, decode, fresh }
}

/**
 * Prompt tokens that fit the budget. A slice ends at a multiple of the chunk length of the
 * sequence or at the prompt's end, so that a sequence meets the same arithmetic whatever runs
 * beside it.
 */
function sliceLength(sequence: Sequence, budget: SchedulerLimits): number {
  const { position, request } = sequence
  const most = sequence.scoresPrompt
    ? Math.min(budget.promptTokens, budget.scoredTokens)
    : budget.promptTokens
  const end = position + most
  if (end >= request.prompt.length) return request.prompt.length - position
  return Math.max(0, Math.floor(end / CHUNK) * CHUNK - position)
}

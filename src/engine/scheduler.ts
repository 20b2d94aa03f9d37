// Decides what the next step holds: a token of every decoding sequence, and slices of prompts up
// to a budget. Pure bookkeeping, no GPU: a share is booked on its sequence when it is handed out.
import { invariant } from '../errors.ts'
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
  /** Position of its first token. */
  position: number
  /** Tokens it processes; 0 only draws a token, from logits that are there already. */
  count: number
  decode: boolean
  /** Its state and logits are those of this share's sequence after the step. */
  copyOf?: Share
}

/** What happens around the moment when a waiting sequence gets its slot. */
export interface Admission {
  /** False keeps it waiting and lets others pass. */
  ready(sequence: Sequence): boolean
  /** True if it needs a slot and no computation. */
  isComplete(sequence: Sequence): boolean
  /** Readies its slot; may move its position past tokens whose state is there already. */
  start(sequence: Sequence): void
}

const ADMIT_ALL: Admission = { ready: () => true, isComplete: () => false, start: () => {} }

/**
 * Of so many admissions that could go by priority, one goes to the sequence that has waited
 * longest, so that a flood of urgent requests starves nobody.
 */
const OLDEST_EVERY = 8

export class Scheduler {
  /** In order of arrival. */
  readonly #waiting: Sequence[] = []
  /** In order of admission. */
  readonly #running: Sequence[] = []
  /** Admissions in a row that passed the sequence that has waited longest. */
  #passedOldest = 0

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

  /** Every sequence that has not ended: running ones, then waiting ones in order of arrival. */
  get sequences(): Sequence[] {
    return [...this.#running, ...this.#waiting]
  }

  add(sequence: Sequence): void {
    this.#waiting.push(sequence)
  }

  /** Takes in a sequence that runs from where another is; false if no slot is free. */
  adopt(sequence: Sequence): boolean {
    sequence.slot = this.pool.take()
    if (sequence.slot === undefined) return false
    this.#running.push(sequence)
    return true
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
   * longer than one budget of prompt tokens; prompts go by priority, then in order of arrival.
   */
  next(admission = ADMIT_ALL): Share[] {
    const shares: Share[] = []
    for (const sequence of this.#running) {
      if (sequence.decodes) shares.push(book(sequence, 1, true))
    }
    const budget = { ...this.limits }
    const prefilling = byPriority(this.#running.filter((sequence) => sequence.prefilling))
    let done = 0
    // Running prompts go before waiting ones of their priority.
    const spendUpTo = (priority: number) => {
      for (; prefilling[done]?.priority <= priority; done++) {
        // What is too little for one may be enough for a shorter one behind it.
        this.#spend(prefilling[done], budget, shares)
      }
    }
    if (this.pool.free > 0) {
      for (const sequence of this.#candidates()) {
        spendUpTo(sequence.priority)
        // It may have begun as a copy of one of these.
        if (sequence.slot !== undefined) continue
        if (!this.#admit(sequence, admission, budget, shares)) break
      }
    }
    spendUpTo(Number.POSITIVE_INFINITY)
    return shares
  }

  /** Gives a waiting sequence its slot if it can have one; false if those behind it must wait, too. */
  #admit(
    sequence: Sequence,
    admission: Admission,
    budget: SchedulerLimits,
    shares: Share[],
  ): boolean {
    if (sequence.waitsForParent || this.#waitsForMask(sequence)) return true
    if (this.pool.free === 0) return false
    const hasRoom = sliceLength(sequence, budget) > 0
    if (!hasRoom && !admission.isComplete(sequence)) return false
    if (!admission.ready(sequence)) return true
    this.#start(sequence)
    admission.start(sequence)
    if (sequence.prefilling) return this.#spend(sequence, budget, shares)
    const share = book(sequence, 0, false)
    shares.push(share)
    this.#startCopies(share, shares)
    return true
  }

  /** The end of a prompt draws a token, for its samples as well: their masks must be known. */
  #waitsForMask(sequence: Sequence): boolean {
    if (!sequence.mask?.followsTokens) return false
    const isMissing = ({ mask }: Sequence) => mask?.isReady === false
    const hasSample = (each: Sequence) => each.parent === sequence && isMissing(each)
    return isMissing(sequence) || this.#waiting.some(hasSample)
  }

  /** Waiting sequences in the order in which they may have slots. */
  *#candidates(): Generator<Sequence> {
    for (const sequence of byPriority(this.#waiting)) {
      // It may have its slot already, as the oldest or as a copy.
      if (sequence.slot !== undefined) continue
      const isDue = this.#passedOldest >= OLDEST_EVERY - 1
      const oldest = isDue ? this.#oldest : undefined
      if (oldest && oldest !== sequence) yield oldest
      if (sequence.slot === undefined) yield sequence
    }
  }

  /** Who has waited longest, but for samples whose prompt is on its way. */
  get #oldest(): Sequence | undefined {
    return this.#waiting.find((sequence) => !sequence.waitsForParent)
  }

  #start(sequence: Sequence): void {
    invariant(sequence.slot === undefined, `${sequence.request.id} has a slot already`)
    this.#passedOldest = sequence === this.#oldest ? 0 : this.#passedOldest + 1
    sequence.slot = this.pool.take()
    this.#waiting.splice(this.#waiting.indexOf(sequence), 1)
    this.#running.push(sequence)
  }

  /** Adds the next slice of a prompt; false if the budget has no room for one. */
  #spend(sequence: Sequence, budget: SchedulerLimits, shares: Share[]): boolean {
    const count = sliceLength(sequence, budget)
    if (count === 0) return false
    budget.promptTokens -= count
    if (sequence.scoresPrompt) budget.scoredTokens -= count
    const share = book(sequence, count, false)
    shares.push(share)
    if (!sequence.prefilling) this.#startCopies(share, shares)
    return true
  }

  /** The other samples of a prompt start with its end, as far as there are slots. */
  #startCopies(share: Share, shares: Share[]): void {
    const copies = this.#waiting.filter(({ parent }) => parent === share.sequence)
    for (const copy of copies) {
      // It came late, and starts from the kept state.
      if (copy.mask?.isReady === false) continue
      if (this.pool.free === 0) return
      this.#start(copy)
      copy.position = copy.request.prompt.length
      shares.push({ ...book(copy, 0, false), copyOf: share })
    }
  }
}

/** Stable, so that equal ones stay in their order; lists of one priority are not copied. */
function byPriority(sequences: readonly Sequence[]): readonly Sequence[] {
  const [first] = sequences
  const isMixed = sequences.some((sequence) => sequence.priority !== first.priority)
  return isMixed ? sequences.toSorted((a, b) => a.priority - b.priority) : [...sequences]
}

/** Makes a share and moves its sequence past it. */
function book(sequence: Sequence, count: number, decode: boolean): Share {
  const { position } = sequence
  sequence.position += count
  if (!sequence.prefilling && sequence.maxTokens > 0) sequence.sampled++
  return { sequence, slot: sequence.slot!, position, count, decode }
}

/**
 * Prompt tokens that fit the budget. A slice ends at a multiple of the chunk length of the
 * sequence, at the prompt's end or where the state is to be kept, so that a sequence meets the same
 * arithmetic whatever runs beside it.
 */
function sliceLength(sequence: Sequence, budget: SchedulerLimits): number {
  const { position, nextCut, scoresPrompt } = sequence
  const { promptTokens, scoredTokens } = budget
  const end = position + (scoresPrompt ? Math.min(promptTokens, scoredTokens) : promptTokens)
  if (end >= nextCut) return nextCut - position
  return Math.max(0, Math.floor(end / CHUNK) * CHUNK - position)
}

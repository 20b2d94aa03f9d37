// A server in virtual time: requests arrive at random, steps take as long as what they hold, and
// results come back one step late. Only the scheduler is real.
import { Scheduler, type SchedulerLimits, type Share } from '../../src/engine/scheduler.ts'
import type { Sequence } from '../../src/engine/sequence.ts'
import { StatePool } from '../../src/engine/state-pool.ts'
import { endSequence, makeSequence } from './sequences.ts'

/** What a step costs, in milliseconds; about a 7B model on a large GPU. */
export const COST = { step: 5, decodeRow: 0.1, promptToken: 0.02 }
/** Steps on the device at once. */
const STEPS_IN_FLIGHT = 2

export interface Arrival {
  /** Milliseconds. */
  time: number
  length: number
  maxTokens: number
  priority: number
  /** Tokens after which it turns out to have ended. */
  stopAfter: number
  samples: number
  isScored: boolean
  /** When its caller gives up, if it gets there. */
  abort?: { while: 'waiting'; after: number } | { while: 'prompt' } | { while: 'decoding' }
}

/** One sample of a request, as it went. */
export interface Visit {
  arrival: Arrival
  sequence: Sequence
  /** Sequences that waited when it came. */
  olderWaiting: number
  /** Admissions until it came, and until it was admitted itself; only of prompts that are computed. */
  admissionsBefore: number
  admissionsAt?: number
  admittedAt?: number
  /** Steps that were made before the first one that holds it. */
  firstStep?: number
  /** Of its first and its latest token. */
  firstToken?: number
  lastToken?: number
  longestGap: number
  missedSteps: number
  aborted?: 'waiting' | 'prompt' | 'decoding'
}

interface Flight {
  shares: Share[]
  cost: number
}

export interface SimulationOptions extends SchedulerLimits {
  slots: number
  /** Requests beyond this are turned away. */
  maxQueue: number
  /** Looks at every step as it is made. */
  onStep?: (shares: readonly Share[], scheduler: Scheduler) => void
}

export class ServingSimulation {
  readonly visits: Visit[] = []
  /** In the order in which they got slots. */
  readonly admitted: Visit[] = []
  readonly scheduler: Scheduler
  turnedAway = 0
  steps = 0
  /** Milliseconds. */
  clock = 0
  #admissions = 0
  readonly #visitOf = new Map<Sequence, Visit>()
  readonly #impatient = new Set<Visit>()
  readonly #flights: Flight[] = []

  constructor(readonly options: SimulationOptions) {
    this.scheduler = new Scheduler(new StatePool(options.slots), options)
  }

  /** Serves all requests, which come in order of time. */
  run(arrivals: readonly Arrival[]): void {
    let next = 0
    while (true) {
      while (next < arrivals.length && arrivals[next].time <= this.clock)
        this.#arrive(arrivals[next++])
      this.#abortWaiting()
      while (this.#flights.length < STEPS_IN_FLIGHT) {
        const flight = this.#launch()
        if (flight === undefined) break
        this.#flights.push(flight)
      }
      const flight = this.#flights.shift()
      if (flight) this.#takeResults(flight)
      else if (next < arrivals.length) this.clock = arrivals[next].time
      else return
    }
  }

  #arrive(arrival: Arrival): void {
    if (this.scheduler.waiting + arrival.samples > this.options.maxQueue) {
      this.turnedAway++
      return
    }
    const { length, maxTokens, priority, isScored } = arrival
    let parent: Sequence | undefined
    for (let i = 0; i < arrival.samples; i++) {
      const promptLogprobs = isScored && i === 0 ? 0 : undefined
      const sequence = makeSequence({ length, maxTokens, priority, promptLogprobs, parent })
      const visit: Visit = {
        arrival,
        sequence,
        olderWaiting: this.scheduler.waiting,
        admissionsBefore: this.#admissions,
        longestGap: 0,
        missedSteps: 0,
      }
      this.scheduler.add(sequence)
      this.visits.push(visit)
      this.#visitOf.set(sequence, visit)
      if (arrival.abort?.while === 'waiting') this.#impatient.add(visit)
      parent ??= sequence
    }
  }

  #abortWaiting(): void {
    for (const visit of this.#impatient) {
      const { abort, time } = visit.arrival
      const isOver = visit.sequence.slot !== undefined || visit.sequence.stream.ended
      if (!isOver && abort?.while === 'waiting' && this.clock >= time + abort.after) {
        this.#abort(visit, 'waiting')
      }
      if (isOver || visit.aborted) this.#impatient.delete(visit)
    }
  }

  #abort(visit: Visit, where: Visit['aborted']): void {
    visit.aborted = where
    endSequence(this.scheduler, visit.sequence)
  }

  #launch(): Flight | undefined {
    const shares = this.scheduler.next()
    this.options.onStep?.(shares, this.scheduler)
    if (shares.length === 0) return undefined
    const inStep = new Set(shares.map(({ sequence }) => sequence))
    for (const sequence of this.scheduler.sequences) {
      const isDrawing = sequence.sampled > 0 && sequence.sampled < sequence.maxTokens
      if (isDrawing && !inStep.has(sequence)) this.#visitOf.get(sequence)!.missedSteps++
    }
    let cost = COST.step
    for (const { sequence, count, decode, copyOf } of shares) {
      cost += decode ? COST.decodeRow : count * COST.promptToken
      this.#noteAdmission(this.#visitOf.get(sequence)!, copyOf === undefined)
    }
    this.steps++
    return { shares, cost }
  }

  #noteAdmission(visit: Visit, isComputed: boolean): void {
    if (visit.admittedAt !== undefined) return
    visit.admittedAt = this.clock
    visit.firstStep = this.steps
    visit.admissionsAt = this.#admissions
    if (isComputed) this.#admissions++
    this.admitted.push(visit)
  }

  #takeResults({ shares, cost }: Flight): void {
    this.clock += cost
    for (const { sequence, position, count } of shares) {
      if (sequence.stream.ended) continue
      const visit = this.#visitOf.get(sequence)!
      const { stopAfter, abort } = visit.arrival
      if (position + count < sequence.request.prompt.length) {
        if (abort?.while === 'prompt') this.#abort(visit, 'prompt')
        continue
      }
      sequence.generated.push(1)
      visit.longestGap = Math.max(visit.longestGap, this.clock - (visit.lastToken ?? this.clock))
      visit.firstToken ??= this.clock
      visit.lastToken = this.clock
      const { length } = sequence.generated
      if (length >= Math.min(sequence.maxTokens, stopAfter)) endSequence(this.scheduler, sequence)
      else if (abort?.while === 'decoding' && length >= stopAfter / 2)
        this.#abort(visit, 'decoding')
    }
  }
}

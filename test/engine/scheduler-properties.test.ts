// What holds of every step, whatever arrives, ends or is aborted in whatever order.
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Admission, Scheduler, type Share } from '../../src/engine/scheduler.ts'
import type { Sequence } from '../../src/engine/sequence.ts'
import { StatePool } from '../../src/engine/state-pool.ts'
import { endSequence, makeSequence } from '../helpers/sequences.ts'

const request = fc.record({
  /** Step before which it arrives. */
  arrival: fc.nat(30),
  length: fc.oneof(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 900 })),
  maxTokens: fc.nat(9),
  /** Tokens after which it turns out to have ended, if it gets so far. */
  stopAfter: fc.integer({ min: 1, max: 12 }),
  priority: fc.nat(2),
  isScored: fc.boolean(),
  cuts: fc.array(fc.nat(900), { maxLength: 3 }),
  /** Further samples of its prompt. */
  copies: fc.nat(3),
  /** Part of the prompt whose state is there already: nothing, some of it, or all. */
  hit: fc.constantFrom(0, 0, 0.3, 1),
  /** Steps for which it is not ready after it has arrived. */
  refusedFor: fc.constantFrom(0, 0, 0, 5),
  /** Step before which it is aborted. */
  abortAt: fc.option(fc.nat(60), { nil: undefined }),
})

const scenario = fc.record({
  slots: fc.integer({ min: 1, max: 8 }),
  promptTokens: fc.integer({ min: 64, max: 400 }),
  scoredTokens: fc.constantFrom(64, 100, 400),
  stepsInFlight: fc.integer({ min: 1, max: 3 }),
  requests: fc.array(request, { minLength: 1, maxLength: 25 }),
})

type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never
type Shape = Scenario['requests'][number]

/** Plays a scenario as the engine would, and checks every step. */
class Play implements Admission {
  readonly #queue: Scheduler
  readonly #shapes = new Map<Sequence, Shape>()
  readonly #left = new Set<Sequence>()
  readonly #flights: Share[][] = []
  /** Positions that the shares seen so far lead to. */
  readonly #positions = new Map<Sequence, number>()
  #step = 0

  constructor(readonly scenario: Scenario) {
    this.#queue = new Scheduler(new StatePool(scenario.slots), scenario)
  }

  isComplete(): boolean {
    return false
  }

  ready(sequence: Sequence): boolean {
    const { arrival, refusedFor } = this.#shapes.get(sequence)!
    return this.#step >= arrival + refusedFor
  }

  start(sequence: Sequence): void {
    const { hit, length } = this.#shapes.get(sequence)!
    sequence.position = Math.floor(hit * length)
    this.#positions.set(sequence, sequence.position)
  }

  run(): void {
    const { requests, stepsInFlight, slots } = this.scenario
    const last = Math.max(...requests.map(({ arrival, refusedFor }) => arrival + refusedFor))
    for (; this.#step <= last || this.#left.size > 0; this.#step++) {
      this.#arrive(requests.filter(({ arrival }) => arrival === this.#step))
      this.#abort()
      const shares = this.#next()
      this.#flights.push(shares)
      if (this.#flights.length >= stepsInFlight || shares.length === 0) this.#takeResults()
      // Every step brings something on its way, so this is far more than they can need.
      expect(this.#step).toBeLessThan(3000)
    }
    expect([this.#queue.pool.free, this.#queue.running, this.#queue.waiting]).toEqual([slots, 0, 0])
    expect(this.#queue.next(this)).toEqual([])
  }

  #arrive(shapes: readonly Shape[]): void {
    for (const shape of shapes) {
      const { length, maxTokens, priority, cuts, copies, isScored } = shape
      const promptLogprobs = isScored ? 0 : undefined
      const parent = makeSequence({ length, maxTokens, priority, promptLogprobs })
      for (const cut of cuts) parent.addCut(cut)
      this.#add(parent, shape)
      for (let i = 0; i < copies; i++) {
        this.#add(makeSequence({ length, maxTokens, priority, parent }), shape)
      }
    }
  }

  #add(sequence: Sequence, shape: Shape): void {
    this.#queue.add(sequence)
    this.#shapes.set(sequence, shape)
    this.#left.add(sequence)
  }

  #abort(): void {
    for (const each of this.#left) {
      if (this.#shapes.get(each)!.abortAt === this.#step) this.#end(each)
    }
  }

  #end(sequence: Sequence): void {
    endSequence(this.#queue, sequence)
    this.#left.delete(sequence)
  }

  #next(): Share[] {
    const decoding = [...this.#left].filter(({ decodes }) => decodes)
    const shares = this.#queue.next(this)
    const decodes = shares.filter(({ decode }) => decode)
    // All that decode are in the step, ahead of the prompts.
    expect(new Set(decodes.map(({ sequence }) => sequence))).toEqual(new Set(decoding))
    expect(shares.slice(0, decodes.length)).toEqual(decodes)
    const { promptTokens, scoredTokens } = this.scenario
    const prompts = shares.slice(decodes.length)
    const scored = prompts.filter(({ sequence }) => sequence.scoresPrompt)
    expect(sumOfCounts(prompts)).toBeLessThanOrEqual(promptTokens)
    expect(sumOfCounts(scored)).toBeLessThanOrEqual(scoredTokens)
    for (const share of shares) this.#checkShare(share, shares)
    this.#checkSlots()
    return shares
  }

  #checkShare(share: Share, shares: readonly Share[]): void {
    const { sequence, position, count, copyOf, slot } = share
    const { length } = sequence.request.prompt
    const end = position + count
    expect(this.#left.has(sequence)).toBeTrue()
    expect(slot).toBe(sequence.slot!)
    expect(sequence.position).toBe(end)
    if (copyOf) {
      expect(copyOf.sequence).toBe(sequence.parent!)
      expect(copyOf.position + copyOf.count).toBe(length)
      expect(shares.indexOf(copyOf)).toBeLessThan(shares.indexOf(share))
      expect(shares).toContain(copyOf)
      expect(position).toBe(length)
    } else {
      expect(position).toBe(this.#positions.get(sequence) ?? 0)
      if (!share.decode) {
        const mayEnd = end % 64 === 0 || end === length || sequence.cuts.includes(end)
        expect(mayEnd).toBeTrue()
      }
    }
    this.#positions.set(sequence, end)
  }

  #checkSlots(): void {
    const slots = [...this.#left].map(({ slot }) => slot).filter((slot) => slot !== undefined)
    expect(new Set(slots).size).toBe(slots.length)
    expect(this.#queue.pool.free + slots.length).toBe(this.scenario.slots)
    expect(this.#queue.running).toBe(slots.length)
  }

  /** The oldest step comes back: one token for each whose prompt is done. */
  #takeResults(): void {
    for (const { sequence, position, count } of this.#flights.shift() ?? []) {
      if (!this.#left.has(sequence)) continue
      if (position + count < sequence.request.prompt.length) continue
      const { maxTokens, stopAfter } = this.#shapes.get(sequence)!
      if (maxTokens > 0) sequence.generated.push(1)
      expect(sequence.generated.length).toBeLessThanOrEqual(maxTokens)
      if (sequence.generated.length >= Math.min(maxTokens, stopAfter)) this.#end(sequence)
    }
  }
}

function sumOfCounts(shares: readonly Share[]): number {
  return shares.reduce((total, { count }) => total + count, 0)
}

test('budgets hold, slices end where they may, no slot is lost or used twice, all end', () => {
  fc.assert(
    fc.property(scenario, (each) => new Play(each).run()),
    { numRuns: 300, seed: 1 },
  )
}, 60_000)

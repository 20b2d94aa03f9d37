// How fair the scheduler is: figures from 10,000 requests at each of several loads, in virtual time.
import { beforeAll, describe, expect, test } from 'bun:test'
import type { Scheduler, Share } from '../../src/engine/scheduler.ts'
import type { Sequence } from '../../src/engine/sequence.ts'
import { CHUNK } from '../../src/gpu/step.ts'
import { type Arrival, COST, ServingSimulation, type Visit } from '../helpers/serving-simulation.ts'

const SLOTS = 64
const PROMPT_TOKENS = 512
const SCORED_TOKENS = 256
const MAX_QUEUE = 256
const REQUESTS = 10_000
const LONGEST_PROMPT = 4000
const LONGEST_OUTPUT = 128

/** Of the capacity. */
const LOADS = [0.6, 1, 2]

/** Requests a second that full steps serve, measured with more than that. */
const CAPACITY = 50

/** Between two tokens of a sequence lies one step; this is the most that one costs, in ms. */
const LONGEST_STEP = COST.step + SLOTS * COST.decodeRow + PROMPT_TOKENS * COST.promptToken

/** One of so many admissions goes to the sequence that has waited longest. */
const ADMISSIONS_A_TURN = 8

/** Mean wait for a slot, in ms, of prompts up to 64 tokens at 0.6 of the capacity: measured 26. */
const SHORT_WAIT = 40

/** The same of the most urgent third of the requests at twice the capacity: measured 57. */
const URGENT_WAIT = 90

/** Numbers below 1, the same ones in every run (Mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let word = Math.imul(state ^ (state >>> 15), state | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32
  }
}

function makeArrivals(perSecond: number): Arrival[] {
  const random = randomNumbers(1)
  const below = (count: number) => Math.floor(random() * count)
  let time = 0
  return Array.from({ length: REQUESTS }, () => {
    time -= (Math.log(1 - random()) * 1000) / perSecond
    const maxTokens = 1 + below(LONGEST_OUTPUT)
    const isEarly = random() < 0.3
    return {
      time,
      length: Math.floor(LONGEST_PROMPT ** random()),
      maxTokens,
      priority: below(3),
      stopAfter: isEarly ? 1 + below(maxTokens) : maxTokens,
      samples: random() < 0.05 ? 2 + below(3) : 1,
      isScored: random() < 0.05,
      abort: makeAbort(random),
    }
  })
}

/** One in eight is given up. */
function makeAbort(random: () => number): Arrival['abort'] {
  const which = random()
  if (which < 0.04) return { while: 'waiting', after: random() * 500 }
  if (which < 0.08) return { while: 'prompt' }
  return which < 0.12 ? { while: 'decoding' } : undefined
}

/** True if a step left a slot and enough of its budget to whoever was next. */
function isIdle(shares: readonly Share[], scheduler: Scheduler): boolean {
  if (scheduler.pool.free === 0 || scheduler.waiting === 0) return false
  const left = { promptTokens: PROMPT_TOKENS, scoredTokens: SCORED_TOKENS }
  for (const { sequence, count, decode } of shares) {
    if (decode) continue
    left.promptTokens -= count
    if (sequence.scoresPrompt) left.scoredTokens -= count
  }
  const fits = ({ request, scoresPrompt }: Sequence) => {
    const slice = Math.min(request.prompt.length, CHUNK)
    return slice <= left.promptTokens && (!scoresPrompt || slice <= left.scoredTokens)
  }
  const ready = scheduler.sequences.filter(({ slot, parent }) => {
    const waitsForPrompt = parent !== undefined && !parent.stream.ended && parent.prefilling
    return slot === undefined && !waitsForPrompt
  })
  if (ready.length === 0) return false
  // Either of them may be next.
  const [oldest] = ready
  const [urgent] = ready.toSorted((a, b) => a.priority - b.priority)
  return fits(oldest) && fits(urgent)
}

function simulate(perSecond: number) {
  let idleSteps = 0
  const simulation = new ServingSimulation({
    slots: SLOTS,
    promptTokens: PROMPT_TOKENS,
    scoredTokens: SCORED_TOKENS,
    maxQueue: MAX_QUEUE,
    onStep: (shares, scheduler) => {
      if (isIdle(shares, scheduler)) idleSteps++
    },
  })
  simulation.run(makeArrivals(perSecond))
  return { simulation, idleSteps }
}

const mean = (numbers: readonly number[]) =>
  numbers.reduce((sum, number) => sum + number, 0) / numbers.length

/** Mean milliseconds until these had their slots. */
const meanWait = (visits: readonly Visit[]) =>
  mean(
    visits.flatMap(({ admittedAt, arrival }) =>
      admittedAt === undefined ? [] : [admittedAt - arrival.time],
    ),
  )

const runs: ReturnType<typeof simulate>[] = []

beforeAll(() => {
  for (const load of LOADS) runs.push(simulate(load * CAPACITY))
}, 60_000)

describe.each([...LOADS.entries()])('load %p, 10,000 requests at %p of the capacity', (i, load) => {
  let played: ReturnType<typeof simulate>
  let visits: Visit[]

  beforeAll(() => {
    played = runs[i]
    visits = played.simulation.visits
  })

  test('all end as they should, and all slots are free', () => {
    const { scheduler, turnedAway } = played.simulation
    for (const { sequence, arrival, aborted } of visits) {
      const wanted = Math.min(arrival.maxTokens, arrival.stopAfter)
      if (aborted) expect(sequence.generated.length).toBeLessThan(wanted)
      else expect(sequence.generated).toHaveLength(wanted)
    }
    expect([scheduler.pool.free, scheduler.running, scheduler.waiting]).toEqual([SLOTS, 0, 0])
    expect(turnedAway > REQUESTS / 4).toBe(load > 1)
    expect(visits.length).toBeGreaterThan(REQUESTS / 2)
    for (const where of ['waiting', 'prompt', 'decoding'] as const) {
      expect(visits.filter(({ aborted }) => aborted === where).length).toBeGreaterThan(15)
    }
  })

  test('a running sequence gets a token from every step', () => {
    expect(visits.filter(({ missedSteps }) => missedSteps > 0)).toEqual([])
    const gaps = visits.map(({ longestGap }) => longestGap)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(LONGEST_STEP + 1e-6)
    expect(Math.max(...gaps)).toBeGreaterThan(0)
  })

  test.each([0, 1, 2])('requests of priority %p are admitted in order of arrival', (priority) => {
    const places = played.simulation.admitted
      .filter(({ arrival, sequence }) => arrival.priority === priority && !sequence.parent)
      .map((visit) => visits.indexOf(visit))
    expect(places.length).toBeGreaterThan(1000)
    expect(places).toEqual(places.toSorted((a, b) => a - b))
  })

  test('no flood of urgent requests starves the others', () => {
    for (const { sequence, olderWaiting, admissionsBefore, admissionsAt } of visits) {
      // Samples first wait for their prompt.
      if (admissionsAt === undefined || sequence.parent) continue
      const turns = olderWaiting + 1
      expect(admissionsAt - admissionsBefore).toBeLessThan(ADMISSIONS_A_TURN * turns)
    }
  })

  test('no slot stays free while the next in line could have it', () => {
    expect(played.idleSteps).toBe(0)
  })
})

describe('waiting times', () => {
  test('short prompts among long ones have their slots soon while there are any', () => {
    const { visits } = runs[0].simulation
    const short = visits.filter(({ arrival }) => arrival.length <= CHUNK)
    expect(short.length).toBeGreaterThan(3000)
    expect(meanWait(short)).toBeLessThan(SHORT_WAIT)
  })

  test('urgent requests pass a queue that is full', () => {
    const { visits } = runs[2].simulation
    const [urgent, , last] = [0, 1, 2].map((priority) =>
      meanWait(visits.filter(({ arrival }) => arrival.priority === priority)),
    )
    expect(urgent).toBeLessThan(URGENT_WAIT)
    expect(last).toBeGreaterThan(10 * urgent)
  })

  /** Prompts share one budget in order of arrival, so a long one is finished first. */
  test.each([
    [1, 7],
    [3, 23],
  ])('behind %p prompts of 4,000 tokens a short one waits for %p steps', (longOnes, steps) => {
    const arrival = {
      time: 0,
      maxTokens: 1,
      priority: 0,
      stopAfter: 1,
      samples: 1,
      isScored: false,
    }
    const simulation = new ServingSimulation({
      slots: SLOTS,
      promptTokens: PROMPT_TOKENS,
      scoredTokens: SCORED_TOKENS,
      maxQueue: MAX_QUEUE,
    })
    const long = { ...arrival, length: LONGEST_PROMPT }
    simulation.run([...Array.from({ length: longOnes }, () => long), { ...arrival, length: CHUNK }])
    const short = simulation.visits.at(-1)!
    expect(short.firstStep).toBe(steps)
  })
})

// A device in plain TypeScript under a real engine: a state is the number and a hash of the tokens it
// has seen, and logits follow from it. Copies between slots, snapshots and logits are carried out in
// the order of the device's queue, so a wrong one changes or fails what comes after it.
import type { Decoder } from '../../models/decoder.ts'
import { PrefixAdmission } from '../../src/engine/admission.ts'
import { type EngineOptions, GlazeEngine } from '../../src/engine/engine.ts'
import { PrefixCache } from '../../src/engine/prefix-cache.ts'
import type { Generation, GenerationRequest, Output } from '../../src/engine/request.ts'
import { type Copy, MAX_IN_FLIGHT, type Runner, type StepWork } from '../../src/engine/runner.ts'
import { sampleRow, tokenLogprobs } from '../../src/engine/sampler.ts'
import { SnapshotMemory } from '../../src/engine/snapshot-memory.ts'
import { StateCopies } from '../../src/engine/state-copies.ts'
import { invariant } from '../../src/errors.ts'
import type { Buffers } from '../../src/gpu/buffers.ts'
import { RESULT_WORDS } from '../../src/gpu/ops/sample.ts'
import { MAX_TOP, SAMPLED, type SampleRow, type Segment, StepBuffer } from '../../src/gpu/step.ts'
import { GREEDY } from './sequences.ts'

export const VOCAB = 16
/** The only end-of-sequence token; the fake model draws it now and then. */
export const EOS = 2
const EOS_ODDS = 0.05
/** A state: tokens seen, and a hash of them. */
const STATE_WORDS = 2
/** What memory holds before it is written. */
const GARBAGE = 0xffc0dead

/** What the model sees when it computes logits. */
export interface SeenTokens {
  slot: number
  count: number
  hash: number
}

export interface FakeOptions extends Partial<EngineOptions> {
  slots?: number
  /** Rows of GPU memory for prefix states; 0 if left out. */
  snapshots?: number
  /** Logits after some tokens: [VOCAB]; pseudo-random ones if left out. */
  logits?: (seen: SeenTokens) => number[]
  /** Steps come back only when the test says so. */
  held?: boolean
}

/** A step on its way back. */
export interface FakeStep {
  work: StepWork
  finish(): void
  fail(error: Error): void
}

interface FakeBuffer {
  words: Uint32Array
}

const wordsOf = (buffer: GPUBuffer) => (buffer as unknown as FakeBuffer).words

export class FakeRunner implements Pick<Runner, 'run' | 'decoder'> {
  /** Steps submitted so far. */
  steps = 0
  /** Throws in place of the next step, once. */
  error: Error | undefined
  /** Bit i of a slot's mask allows token i. */
  readonly #masks: Uint32Array
  readonly #held: FakeStep[] = []
  #inFlight = 0
  #wake: (() => void) | undefined

  private constructor(
    readonly decoder: Decoder,
    readonly options: FakeOptions,
  ) {
    this.#masks = new Uint32Array(decoder.slots).fill(GARBAGE)
  }

  static async create(buffers: Buffers, options: FakeOptions): Promise<FakeRunner> {
    const { slots = 2, promptTokens = 64, scoredTokens = 64 } = options
    const limits = {
      tokens: promptTokens + slots,
      segments: slots,
      logitRows: scoredTokens + slots,
    }
    const decoder = {
      slots,
      vocabSize: VOCAB,
      layout: { slotFloats: STATE_WORDS },
      step: await StepBuffer.create(buffers, limits),
      states: await buffers.create('states', slots * STATE_WORDS * 4),
      sampled: await buffers.create('sampled', slots * 4),
      logits: await buffers.create('logits', limits.logitRows * VOCAB * 4),
    }
    return new FakeRunner(decoder as unknown as Decoder, options)
  }

  /** Bias and history are not kept here. */
  load(): void {}

  writeMask(slot: number, words: Uint32Array): void {
    this.#masks.set(words, slot)
  }

  run(work: StepWork): Promise<Uint32Array> {
    const { error } = this
    this.error = undefined
    if (error) throw error
    invariant(this.#inFlight < MAX_IN_FLIGHT, `${this.#inFlight} steps are in flight already`)
    const { step } = this.decoder
    const queue = { writeBuffer: () => {} } as unknown as GPUQueue
    step.write(queue, work.segments, work.samples, work.restored)
    for (const copy of work.before ?? []) carryOut(copy)
    let row = 0
    for (const segment of work.segments) row = this.#compute(segment, row)
    const results = new Uint32Array(work.samples.length * RESULT_WORDS).fill(GARBAGE)
    for (const [i, sample] of work.samples.entries()) {
      this.#sample(sample, results.subarray(i * RESULT_WORDS, (i + 1) * RESULT_WORDS))
    }
    for (const copy of work.after ?? []) carryOut(copy)
    this.steps++
    return this.#comeBack(work, results)
  }

  /** The oldest step that has not come back, once there is one. */
  async next(): Promise<FakeStep> {
    while (this.#held.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#held.shift()!
  }

  /** Lets every step come back from now on. */
  release(): void {
    this.options.held = false
    for (const step of this.#held.splice(0)) step.finish()
  }

  async #comeBack(work: StepWork, results: Uint32Array): Promise<Uint32Array> {
    this.#inFlight++
    try {
      if (this.options.held) {
        const { promise, resolve, reject } = Promise.withResolvers<void>()
        this.#held.push({ work, finish: resolve, fail: reject })
        this.#wake?.()
        await promise
      } else {
        await Promise.resolve()
      }
      return results
    } finally {
      this.#inFlight--
    }
  }

  /** Takes a slot past the tokens of a segment. @returns the next free row of logits */
  #compute({ slot, tokens, position, logits }: Segment, row: number): number {
    const { states, sampled } = this.decoder
    const state = wordsOf(states).subarray(slot * STATE_WORDS, (slot + 1) * STATE_WORDS)
    invariant(state[0] === position, `slot ${slot} has seen ${state[0]} tokens, not ${position}`)
    for (const [i, token] of tokens.entries()) {
      const id = token === SAMPLED ? wordsOf(sampled)[slot] : token
      invariant(id < VOCAB, `token ${id} in slot ${slot}`)
      state[0]++
      state[1] = Math.imul(state[1] ^ (id + 1), 0x01000193)
      const isWanted = logits === 'all' || (logits === 'last' && i === tokens.length - 1)
      if (isWanted) this.#writeLogits(row++, { slot, count: state[0], hash: state[1] })
    }
    return row
  }

  #writeLogits(row: number, seen: SeenTokens): void {
    const logits = (this.options.logits ?? randomLogits)(seen)
    this.#logits(row).set(logits)
  }

  #logits(row: number): Float32Array {
    const { buffer, byteOffset } = wordsOf(this.decoder.logits)
    return new Float32Array(buffer, byteOffset + row * VOCAB * 4, VOCAB)
  }

  /** Fills a row of results as readResult (src/engine/sampler.ts) reads it. */
  #sample(sample: SampleRow, words: Uint32Array): void {
    const { slot, target, top } = sample
    const logits = this.#logits(sample.logitRow)
    const drawn = sampleRow(logits, sample, { mask: this.#masks.subarray(slot, slot + 1) })
    const id = target ?? drawn.id
    words[0] = id
    words[1] = (drawn.finite ? 0 : 1) | (drawn.allowed ? 0 : 2)
    if (target === undefined) wordsOf(this.decoder.sampled)[slot] = id
    if (top === undefined || words[1] !== 0) return
    const best = tokenLogprobs(logits, id, top)
    const floats = new Float32Array(words.buffer, words.byteOffset, words.length)
    floats[2] = best.logprob
    for (const [place, each] of best.top.entries()) {
      words[4 + place] = each.id
      floats[4 + MAX_TOP + place] = each.logprob
    }
  }
}

function carryOut({ from, to }: Copy): void {
  const range = ({ buffer, offset, size }: Copy['to']) => {
    const words = wordsOf(buffer)
    invariant((offset + size) / 4 <= words.length, 'copy beyond a buffer')
    return words.subarray(offset / 4, (offset + size) / 4)
  }
  if (from === undefined) range(to).fill(0)
  else {
    invariant(from.size === to.size, `copy of ${from.size} bytes to ${to.size}`)
    invariant(from.buffer !== to.buffer, 'copy within one buffer')
    range(to).set(range(from))
  }
}

/** Different for any two histories, as far as a hash can tell. */
function randomLogits({ hash }: SeenTokens): number[] {
  const draw = (i: number) => {
    const word = Math.imul(hash ^ Math.imul(i + 1, 0x9e3779b9), 0x85ebca6b)
    return (Math.imul(word ^ (word >>> 15), 0xc2b2ae35) >>> 8) / 2 ** 24
  }
  const isEnd = draw(VOCAB) < EOS_ODDS
  return Array.from({ length: VOCAB }, (_, id) => (id === EOS ? (isEnd ? 2 : -1) : draw(id)))
}

/** Logits whose best token is this one. */
export function oneHot(best: number): number[] {
  return Array.from({ length: VOCAB }, (_, id) => (id === best ? 1 : 0))
}

/** An engine over a fake device: 2 slots and steps of 64 prompt tokens unless told otherwise. */
export async function openFakeEngine(options: FakeOptions = {}) {
  const buffers = {
    maxSize: 2 ** 20,
    device: {},
    create: async (_: string, bytes: number) => ({
      words: new Uint32Array(bytes / 4).fill(GARBAGE),
    }),
  } as unknown as Buffers
  const runner = await FakeRunner.create(buffers, options)
  const memory = await SnapshotMemory.create(
    buffers,
    { commands: () => {} },
    {
      stateBytes: STATE_WORDS * 4,
      logitsBytes: VOCAB * 4,
      gpuBytes: (options.snapshots ?? 0) * (STATE_WORDS + VOCAB) * 4,
      hostBytes: 0,
    },
  )
  const copies = await StateCopies.create(buffers, runner.decoder, memory)
  const cache = new PrefixCache({ exact: true, memory })
  const admission = new PrefixAdmission(cache, copies, runner)
  const engine = new GlazeEngine(runner, admission, {
    tokenizer: {
      bytes: (id) => Uint8Array.of(97 + id),
      isSpecial: () => false,
      stripsLeadingSpace: false,
    },
    eosTokenIds: [EOS],
    maxLength: undefined,
    promptTokens: 64,
    scoredTokens: 64,
    ...options,
  })
  return { engine, runner, cache, admission }
}

/** A greedy request of 3 tokens after token 1. */
export function makeRequest(more: Partial<GenerationRequest> = {}): GenerationRequest {
  return { id: 'r', prompt: [1], maxTokens: 3, sampling: GREEDY, stop: [], ...more }
}

/** A prompt of so many tokens that no other seed gives. */
export function makePrompt(length: number, seed = 0): number[] {
  return Array.from({ length }, (_, i) =>
    i < 4 ? (seed >> (4 * i)) % VOCAB : (i * 7 + seed) % VOCAB,
  )
}

/** All outputs of a generation. */
export async function collect(generation: Generation): Promise<Output[]> {
  const outputs: Output[] = []
  for await (const output of generation) outputs.push(output)
  return outputs
}

/** The text of a generation. */
export async function textOf(generation: Generation): Promise<string> {
  return (await collect(generation)).map(({ text }) => text).join('')
}

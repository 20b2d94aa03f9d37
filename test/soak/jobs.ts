// What the soak asks for: random requests, and readers who are slow, give up or fork. One seed gives
// one list of jobs.
import type { GenerationRequest, SamplingParams } from '../../src/engine/request.ts'
import { alternate, fakeGuides, oneOf } from '../helpers/guides.ts'
import type { Random } from '../helpers/numbers.ts'

/** One request and what its reader does. */
export interface Job {
  request: GenerationRequest
  /** How each further sample of the same prompt is drawn. */
  samples: SamplingParams[]
  /** Steps of the engine that the reader lets pass after each output. */
  pace: number
  /** When the reader gives up, if it does. */
  abort: Abort | undefined
  /** Goes on from the running generation in a second one, after so many tokens have been read. */
  fork: { after: number; maxTokens: number } | undefined
}

/** Counted in steps of the engine since the request, or in tokens read. */
export type Abort = { unit: 'steps' | 'tokens'; count: number }

/** Where a request is to be when its reader gives up. */
type Phase = 'arrival' | 'prompt' | 'decoding'
const PHASES: readonly Phase[] = ['arrival', 'prompt', 'decoding']

export interface JobLimits {
  vocabSize: number
  promptTokens: number
  maxTokens: number
  eosTokenIds: readonly number[]
}

/** Ids below are special tokens of the shipped vocabulary. */
const FIRST_TEXT_ID = 3
/** Ids from here on are the most frequent pieces of words. */
const FREQUENT_IDS = [259, 400] as const
const DOCUMENTS = 4
/** Prompts that may be sent again. */
const RECENT = 20
const STOPS = ['.', ',', ' the', ' and', 'e', 'th', '\n', ' said', '"', 'ing ', 'nowhere at all']

export class JobSource {
  readonly #documents: number[][]
  readonly #recent: number[][] = []
  #guides: ReturnType<typeof fakeGuides>[] = []
  #count = 0

  constructor(
    readonly random: Random,
    readonly limits: JobLimits,
  ) {
    this.#documents = Array.from({ length: DOCUMENTS }, () => this.#tokens(limits.promptTokens))
  }

  next(): Job {
    const { random, limits } = this
    const abort = this.#chance(0.15) ? this.#one(PHASES) : undefined
    const prompt = abort === 'prompt' ? this.#tokens(limits.promptTokens) : this.#prompt()
    const isScored = this.#chance(0.08)
    const maxTokens = isScored && this.#chance(0.3) ? 0 : this.#logUniform(1, limits.maxTokens)
    const sampling = this.#sampling()
    const minTokens = this.#chance(0.15) ? random.integer(0, maxTokens) : undefined
    const guide = this.#chance(0.15) ? this.#guide(sampling) : undefined
    const stops = this.#chance(0.2)
    // A fork counts its own tokens only, so it goes another way than its original.
    const isFree = !minTokens && !guide && !sampling.bannedSequences
    const request: GenerationRequest = {
      id: `job-${this.#count++}`,
      prompt,
      maxTokens,
      sampling,
      stop: this.#chance(0.25) ? this.#some(STOPS, random.integer(1, 3)) : [],
      includeStop: this.#chance(0.2),
      stopTokenIds: stops ? this.#frequent(random.integer(1, 8)) : undefined,
      ignoreEos: this.#chance(0.2),
      minTokens,
      skipSpecialTokens: this.#chance(0.2) ? this.#chance(0.5) : undefined,
      guide,
      logprobs: this.#chance(0.3) ? this.#one([0, 1, 5, 20]) : undefined,
      promptLogprobs: isScored ? random.integer(0, 5) : undefined,
      priority: this.#priority(abort),
      cacheSalt: this.#chance(0.2) ? this.#one(['first', 'second']) : undefined,
      cacheBreakpoints:
        abort === 'prompt' || this.#chance(0.25) ? this.#breakpoints(prompt.length) : undefined,
    }
    return {
      request,
      samples: this.#chance(0.1) ? this.#samples(sampling) : [],
      pace: this.#chance(0.3) ? random.integer(1, 4) : 0,
      abort: abort && this.#abort(abort, maxTokens),
      fork:
        maxTokens > 1 && isFree && this.#chance(0.4)
          ? {
              after: random.integer(1, Math.min(maxTokens - 1, 8)),
              maxTokens: this.#logUniform(1, 20),
            }
          : undefined,
    }
  }

  /** How often each guide that was made since the last call was disposed. */
  takeDisposals(): number[] {
    const disposals = this.#guides.flatMap(({ made }) => made.map((guide) => guide.disposals))
    this.#guides = []
    return disposals
  }

  /** Half of the prompts begin like others, some equal one that was sent before. */
  #prompt(): number[] {
    const { random, limits } = this
    if (this.#recent.length > 0 && this.#chance(0.15)) return this.#one(this.#recent)
    const length = this.#logUniform(1, limits.promptTokens)
    const shared = this.#chance(0.5) ? random.integer(0, length) : 0
    const document = this.#one(this.#documents)
    const prompt = [...document.slice(0, shared), ...this.#tokens(length - shared)]
    this.#recent.push(prompt)
    if (this.#recent.length > RECENT) this.#recent.shift()
    return prompt
  }

  #sampling(): SamplingParams {
    const { random } = this
    const isGreedy = this.#chance(0.35)
    const isPenalized = this.#chance(0.25)
    const mask = random.uniform()
    return {
      temperature: isGreedy ? 0 : 0.3 + 1.2 * random.uniform(),
      topP: this.#chance(0.4) ? 0.5 + 0.5 * random.uniform() : 1,
      topK: this.#chance(0.3) ? random.integer(1, 60) : 0,
      minP: this.#chance(0.2) ? 0.2 * random.uniform() : 0,
      seed: this.#chance(0.7) ? random.integer(0, 2 ** 31) : undefined,
      repetitionPenalty: isPenalized ? 1 + 0.5 * random.uniform() : undefined,
      presencePenalty: isPenalized ? 2 * random.uniform() - 1 : undefined,
      frequencyPenalty: isPenalized ? 2 * random.uniform() - 1 : undefined,
      logitBias: this.#chance(0.15)
        ? new Map(this.#tokens(random.integer(1, 20)).map((id) => [id, 20 * random.uniform() - 10]))
        : undefined,
      bannedTokenIds: mask < 0.1 ? this.#tokens(30) : undefined,
      allowedTokenIds: mask > 0.95 ? this.#tokens(50) : undefined,
      bannedSequences: this.#chance(0.1)
        ? Array.from({ length: 40 }, () => this.#frequent(random.integer(1, 3)))
        : undefined,
    }
  }

  /** One of two grammars; only the first leaves enough for other bans. */
  #guide(sampling: SamplingParams): GenerationRequest['guide'] {
    const { vocabSize, eosTokenIds } = this.limits
    const { allowedTokenIds, bannedTokenIds, bannedSequences } = sampling
    const isMasked = allowedTokenIds ?? bannedTokenIds ?? bannedSequences
    const runs = () => Array.from({ length: 20 }, () => this.#frequent(this.random.integer(1, 12)))
    const rule = isMasked || this.#chance(0.5) ? alternate(vocabSize) : oneOf(runs(), eosTokenIds)
    const guides = fakeGuides({ vocabSize, rule })
    this.#guides.push(guides)
    return guides.make
  }

  #samples(sampling: SamplingParams): SamplingParams[] {
    const { seed } = sampling
    return Array.from({ length: this.random.integer(1, 3) }, (_, i) => ({
      ...sampling,
      seed: seed === undefined ? undefined : seed + i + 1,
    }))
  }

  /** A request that is to be caught between slices of its prompt must not wait for long. */
  #priority(abort: Phase | undefined): number | undefined {
    if (abort === 'prompt') return -3
    return this.#chance(0.2) ? this.random.integer(-2, 2) : undefined
  }

  #abort(phase: Phase, maxTokens: number): Abort {
    const { random } = this
    if (phase === 'arrival') return { unit: 'steps', count: 0 }
    if (phase === 'prompt') return { unit: 'steps', count: random.integer(1, 8) }
    return { unit: 'tokens', count: random.integer(1, Math.max(1, maxTokens - 1)) }
  }

  #breakpoints(length: number): number[] {
    const wanted = Array.from({ length: this.random.integer(1, 4) }, () =>
      this.random.integer(1, length),
    )
    return [...new Set(wanted)].sort((a, b) => a - b)
  }

  #tokens(count: number): number[] {
    const last = this.limits.vocabSize - 1
    return Array.from({ length: count }, () => this.random.integer(FIRST_TEXT_ID, last))
  }

  #frequent(count: number): number[] {
    return Array.from({ length: count }, () => this.random.integer(...FREQUENT_IDS))
  }

  #chance(probability: number): boolean {
    return this.random.uniform() < probability
  }

  #one<T>(values: readonly T[]): T {
    return values[this.random.integer(0, values.length - 1)]
  }

  #some<T>(values: readonly T[], count: number): T[] {
    return [...new Set(Array.from({ length: count }, () => this.#one(values)))]
  }

  /** Whole number from `low` to `high`; each doubling is as likely as any other. */
  #logUniform(low: number, high: number): number {
    return Math.floor(low * ((high + 1) / low) ** this.random.uniform())
  }
}

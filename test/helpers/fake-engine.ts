// An engine without a model for tests of the HTTP layer: it plays a script, or does what the test
// says, and records what it was asked.

import type {
  CacheUse,
  Engine,
  EngineStats,
  FinishReason,
  Generation,
  GenerationRequest,
  Output,
} from '../../src/engine/request.ts'
import type { PromptTokenizer } from '../../src/http/context.ts'

type Event = { output: Output } | { error: Error } | { end: true }

/** One request as the engine sees it; tests drive it by `emit`, `finish`, `fail` and `end`. */
export class FakeGeneration implements Generation {
  readonly id: string
  readonly promptTokens: number
  isAborted = false
  /** Resolves when the request is aborted. */
  readonly aborted: Promise<void>
  readonly #markAborted: () => void
  readonly #events: Event[] = []
  /** Code points of the text so far. */
  #length = 0
  #wake = Promise.withResolvers<void>()

  constructor(readonly request: GenerationRequest) {
    this.id = request.id
    this.promptTokens = request.prompt.length
    const { promise, resolve } = Promise.withResolvers<void>()
    this.aborted = promise
    this.#markAborted = resolve
  }

  /** One token with its text, which may be empty, and its log-probability if that was asked for. */
  emit(text: string, logprob = -1): void {
    const scored = this.request.logprobs === undefined ? {} : { logprob, top: [] }
    this.#push({ output: { text, tokens: [{ id: 7, offset: this.#length, ...scored }] } })
    this.#length += [...text].length
  }

  /** Any output. */
  output(output: Output): void {
    this.#push({ output })
  }

  /** The last output, with the text that was held back until now. */
  finish(reason: FinishReason, text = '', cache: CacheUse = { read: 0, written: 0 }): void {
    this.#push({ output: { text, tokens: [], finish: { reason }, cache } })
  }

  /** The engine breaks. */
  fail(error: Error): void {
    this.#push({ error })
  }

  /** The engine gives up without a finish. */
  end(): void {
    this.#push({ end: true })
  }

  abort(): void {
    this.isAborted = true
    this.#markAborted()
    this.end()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Output> {
    for (;;) {
      const event = this.#events.shift()
      if (this.isAborted || (event !== undefined && 'end' in event)) return
      if (event === undefined) {
        this.#wake = Promise.withResolvers<void>()
        await this.#wake.promise
      } else if ('error' in event) throw event.error
      else yield event.output
    }
  }

  #push(event: Event): void {
    this.#events.push(event)
    this.#wake.resolve()
  }
}

export interface FakeEngineOptions {
  /** The words that every request gets, one token each; undefined leaves all to the test. */
  words?: readonly string[]
}

/** Words that a fake engine says unless told otherwise. */
export const FAKE_WORDS = ['Once', ' upon', ' a', ' time']

export class FakeEngine implements Engine {
  readonly generations: FakeGeneration[] = []
  /** Throws instead of accepting a request. */
  refuse: (request: GenerationRequest) => void = () => {}
  state: EngineStats = {
    ...{ slots: 4, freeSlots: 4, waiting: 0, running: 0, forks: 0 },
    ...{ silentMs: 0, fault: undefined, isDeviceLost: false },
    prefixCache: {
      ...{ snapshots: 0, gpuBytes: 0, hostBytes: 0, hits: 0, misses: 0 },
      ...{ readTokens: 0, written: 0, demoted: 0, evicted: 0 },
    },
  }
  readonly #words: readonly string[] | undefined
  #submission = Promise.withResolvers<void>()

  constructor({ words }: FakeEngineOptions = {}) {
    this.#words = words
  }

  get requests(): GenerationRequest[] {
    return this.generations.map((generation) => generation.request)
  }

  submit(request: GenerationRequest): FakeGeneration {
    this.refuse(request)
    const generation = new FakeGeneration(request)
    this.generations.push(generation)
    if (this.#words !== undefined) play(generation, this.#words)
    this.#submission.resolve()
    return generation
  }

  stats(): EngineStats {
    return this.state
  }

  /** The generations, once there are this many. */
  async submitted(count: number): Promise<FakeGeneration[]> {
    while (this.generations.length < count) {
      this.#submission = Promise.withResolvers<void>()
      await this.#submission.promise
    }
    return this.generations
  }
}

function play(generation: FakeGeneration, words: readonly string[]): void {
  const { maxTokens } = generation.request
  for (const word of words.slice(0, maxTokens)) generation.emit(word)
  generation.finish(maxTokens < words.length ? 'length' : 'stop')
}

/** The only special token of the fake tokenizer. */
const BOS = 1

const isShown = (skipSpecialTokens: boolean | undefined) => (id: number) =>
  id !== BOS || skipSpecialTokens === false

/**
 * One token per word after a beginning-of-sequence token; ids below 4096. Words of one length are
 * the same token, so ids do not give the text back: id 7 reads ` w7`.
 */
export const fakeTokenizer: PromptTokenizer = {
  vocabSize: 4096,
  encode: (text, { addSpecialTokens = true } = {}) => [
    ...(addSpecialTokens ? [BOS] : []),
    ...text.split(' ').map((word) => 2 + (word.length % 4094)),
  ],
  decode: (ids, { skipSpecialTokens } = {}) =>
    ids.filter(isShown(skipSpecialTokens)).map(fakeWord).join(''),
  pieces: (ids, { skipSpecialTokens } = {}) =>
    ids.map((id) => (isShown(skipSpecialTokens)(id) ? fakeWord(id) : '')),
  display: fakeWord,
  bytes: (id) => new TextEncoder().encode(fakeWord(id)),
}

function fakeWord(id: number): string {
  return id === BOS ? '<s>' : ` w${id}`
}

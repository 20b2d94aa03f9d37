// Runs random jobs against an engine and collects whatever is not as it should be.
import { GlazeEngine } from '../../src/engine/engine.ts'
import type { LoadedModel } from '../../src/engine/load.ts'
import type { Generation, GenerationRequest } from '../../src/engine/request.ts'
import { ApiError } from '../../src/errors.ts'
import { Random } from '../helpers/numbers.ts'
import {
  type Answer,
  addOutput,
  checkAnswer,
  compareAnswers,
  emptyAnswer,
  type Record,
} from './answers.ts'
import { type Abort, type Job, type JobLimits, JobSource } from './jobs.ts'

export interface SoakOptions extends Omit<JobLimits, 'vocabSize' | 'eosTokenIds'> {
  seed: number
  /** Most generations at once. */
  atOnce: number
  /** Share of the repeatable generations that run again alone; repeatable forks all do. */
  repeated: number
}

/** How often readers look whether the steps they wait for are done. */
const LOOK_MS = 2
/** Jobs after which the number of generations at once changes. */
const BURST = 8

export class Soak implements AsyncDisposable {
  readonly counts = {
    ...{ jobs: 0, ended: 0, aborted: 0, tokens: 0 },
    ...{ forks: 0, refused: 0, repeated: 0, guides: 0 },
  }
  /** What went wrong, one line each. */
  readonly problems: string[] = []
  readonly engine: GlazeEngine
  readonly #random: Random
  readonly #jobs: JobSource
  /** Answers that are to be compared with runs alone. */
  #records: Record[] = []
  /** Tokens that forks took over, by id. */
  readonly #inherited = new Map<string, number>()
  readonly #bytes: number
  #steps = 0
  #running = 0

  constructor(
    readonly model: LoadedModel,
    readonly options: SoakOptions,
  ) {
    const { runner, admission, options: engineOptions } = model.engine
    this.#random = new Random(options.seed)
    const { vocabSize } = model.decoder
    const { eosTokenIds } = model.generationConfig
    this.#jobs = new JobSource(this.#random, { ...options, vocabSize, eosTokenIds })
    this.#bytes = model.buffers.bytes
    const counted: typeof runner = {
      decoder: runner.decoder,
      run: (work) => {
        this.#steps++
        return runner.run(work)
      },
    }
    this.engine = new GlazeEngine(counted, admission, {
      ...engineOptions,
      onError: (message, error) => this.#wrong('engine', `${message}: ${error}`),
      onEvent: (_, { to, position }) => this.#inherited.set(String(to), Number(position)),
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine.close()
  }

  /** Runs so many jobs in bursts, waits until all have ended, and repeats some of them alone. */
  async round(jobs: number): Promise<void> {
    const active = new Set<Promise<void>>()
    let most = 1
    for (let i = 0; i < jobs; i++) {
      if (i % BURST === 0) most = this.#burstSize()
      while (this.#running >= most) await Promise.race(active)
      if (this.#isFaulty) break
      const job = this.#run(this.#jobs.next())
      active.add(job)
      job.then(() => active.delete(job))
    }
    await Promise.all(active)
    this.#checkIdle()
    for (const record of this.#records) {
      if (!this.#isFaulty) await this.#repeat(record)
    }
    this.#records = []
    this.#inherited.clear()
    this.#checkIdle()
    for (const disposals of this.#jobs.takeDisposals()) {
      this.counts.guides++
      if (disposals !== 1) this.#wrong('guides', `one was disposed ${disposals} times`)
    }
  }

  get #isFaulty(): boolean {
    return this.engine.stats().fault !== undefined
  }

  /** Small ones, which leave slots free, are as likely as large ones. */
  #burstSize(): number {
    return Math.ceil(this.options.atOnce ** this.#random.uniform())
  }

  async #run(job: Job): Promise<void> {
    const { request, samples, pace, abort } = job
    this.counts.jobs++
    const generation = this.engine.submit(request)
    const readers = [this.#read(generation, request, { pace, abort, fork: job.fork })]
    for (const [i, sampling] of samples.entries()) {
      const sample = {
        ...request,
        id: `${request.id}-${i + 1}`,
        sampling,
        promptLogprobs: undefined,
      }
      const copy = this.engine.submit({ ...sample, sampleOf: generation })
      readers.push(this.#read(copy, sample, { pace }))
    }
    await Promise.all(readers)
  }

  /** Reads a generation as the job says, then checks what came. */
  async #read(
    generation: Generation,
    request: GenerationRequest,
    { pace, abort, fork }: Pick<Job, 'pace'> & Partial<Pick<Job, 'abort' | 'fork'>>,
  ): Promise<void> {
    this.#running++
    const answer = emptyAnswer()
    const others: Promise<void>[] = []
    if (abort?.unit === 'steps') others.push(this.#abortLater(generation, abort))
    let isForkDue = fork !== undefined
    try {
      for await (const output of generation) {
        addOutput(answer, output)
        if (fork && isForkDue && answer.tokens.length >= fork.after) {
          isForkDue = false
          const child = this.#fork(generation, request, fork.maxTokens)
          others.push(
            child.then((isRefused) => {
              isForkDue = isRefused
            }),
          )
        }
        if (abort?.unit === 'tokens' && answer.tokens.length >= abort.count) break
        if (pace > 0) await this.#stepsPass(pace)
      }
      if (!answer.finish && !abort) this.#wrong(request.id, 'ended without a finish')
      this.#take({ request, answer })
    } catch (error) {
      this.#wrong(request.id, String(error))
    }
    this.#running--
    await Promise.all(others)
  }

  async #abortLater(generation: Generation, { count }: Abort): Promise<void> {
    if (count > 0) await this.#stepsPass(count)
    generation.abort()
  }

  /**
   * Goes on from a running generation with the same parameters, so that the text is the same.
   * True if that was refused: the original ended meanwhile, or there is no slot.
   */
  async #fork(
    parent: Generation,
    original: GenerationRequest,
    maxTokens: number,
  ): Promise<boolean> {
    const id = `${original.id}-fork`
    const request = { ...original, id, maxTokens, stop: [], promptLogprobs: undefined }
    this.#running++
    const answer = emptyAnswer()
    let isRefused = false
    try {
      for await (const output of this.engine.fork(parent, request)) addOutput(answer, output)
      this.counts.forks++
      const position = this.#inherited.get(id) ?? Number.NaN
      // The token drawn last is not in the state yet.
      this.#take({ request, answer, inherited: position - request.prompt.length + 1 })
    } catch (error) {
      isRefused = error instanceof ApiError && [409, 429].includes(error.status)
      if (isRefused) this.counts.refused++
      else this.#wrong(id, String(error))
    }
    this.#running--
    return isRefused
  }

  #take(record: Record): void {
    const { request, answer, inherited } = record
    this.counts[answer.finish ? 'ended' : 'aborted']++
    this.counts.tokens += answer.tokens.length
    // What a fork's text follows is known only when it is repeated.
    if (inherited === undefined) this.#check(record)
    const { temperature, seed } = request.sampling
    const isRepeatable = temperature === 0 || seed !== undefined
    // Forks are few and much can go wrong with them.
    const share = inherited === undefined ? this.options.repeated : 1
    if (isRepeatable && this.#random.uniform() < share) this.#records.push(record)
  }

  /** Runs a request again, alone and with nothing kept for it, and compares. */
  async #repeat(record: Record): Promise<void> {
    const { request, answer, inherited = 0 } = record
    const alone: Answer = emptyAnswer()
    const again = {
      ...request,
      id: `${request.id}-alone`,
      maxTokens: inherited + request.maxTokens,
      cacheSalt: `alone ${this.counts.repeated++}`,
    }
    for await (const output of this.engine.submit(again)) addOutput(alone, output)
    for (const problem of compareAnswers(answer, alone, inherited)) this.#wrong(request.id, problem)
    const before = alone.tokens.slice(0, inherited).map(({ id }) => id)
    if (inherited > 0) this.#check(record, [...request.prompt, ...before])
  }

  #check(record: Record, context?: readonly number[]): void {
    const { tokenizer, generationConfig } = this.model
    const vocabulary = { tokenizer, eosTokenIds: generationConfig.eosTokenIds }
    for (const problem of checkAnswer(record, vocabulary, context)) {
      this.#wrong(record.request.id, problem)
    }
  }

  #checkIdle(): void {
    const { slots, freeSlots, waiting, running, fault } = this.engine.stats()
    if (freeSlots !== slots || waiting > 0 || running > 0) {
      this.#wrong(
        'idle',
        `${freeSlots}/${slots} slots free, ${waiting} waiting, ${running} running`,
      )
    }
    if (fault !== undefined) this.#wrong('engine', fault)
    const { bytes } = this.model.buffers
    if (bytes !== this.#bytes) this.#wrong('buffers', `${bytes} bytes, ${this.#bytes} at the start`)
  }

  /** Resolves when so many more steps were submitted, or nothing is left to do. */
  async #stepsPass(count: number): Promise<void> {
    const end = this.#steps + count
    const isBusy = () => {
      const { waiting, running } = this.engine.stats()
      return waiting + running > 0
    }
    while (this.#steps < end && isBusy()) await Bun.sleep(LOOK_MS)
  }

  #wrong(where: string, what: string): void {
    this.problems.push(`${where}: ${what}`)
  }
}

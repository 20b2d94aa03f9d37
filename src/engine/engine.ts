// The engine: takes requests, keeps steps going while there is work, and hands out what they
// produce. All sequences share the steps; each has its own slot, sampling and stream.
//
// Drawn tokens stay on the GPU and feed the next step there, so a step is submitted before the one
// before it has come back. What the host learns late costs at most a thrown-away row: a sequence that
// turns out to have ended is in one more step, and its slot is free for whoever comes after that in
// the GPU's queue. Only a sequence whose next mask follows from its last token (a grammar, banned runs)
// sits out the step in between; the others go on.
import { ApiError, DeviceError, invariant } from '../errors.ts'
import { OutputText } from '../text/output-text.ts'
import type { PrefixAdmission } from './admission.ts'
import { type Deadlines, lateness } from './deadlines.ts'
import { Forks, hasEnded, hasNotBegun } from './forks.ts'
import { GenerationStream } from './generation.ts'
import { MaskRows } from './mask-rows.ts'
import { noteEnd } from './observer.ts'
import { randomSeed } from './random.ts'
import type { Engine, EngineStats, Generation, GenerationRequest } from './request.ts'
import { type Reporter, takeResults } from './results.ts'
import type { Runner } from './runner.ts'
import { Scheduler, type SchedulerLimits } from './scheduler.ts'
import { Sequence } from './sequence.ts'
import { StatePool } from './state-pool.ts'
import { buildStep, type Part } from './step-builder.ts'
import { TokenMask } from './token-mask.ts'
import { boundTokens, checkLogprobs, checkRequest } from './validate.ts'

export interface EngineOptions
  extends SchedulerLimits,
    Deadlines,
    Pick<Reporter, 'eosTokenIds' | 'onError' | 'observer'> {
  /** Token bytes of the model's vocabulary. */
  tokenizer: ConstructorParameters<typeof OutputText>[0]
  /** Most tokens of prompt and completion together; undefined: no bound. */
  maxLength: number | undefined
  /** Steps on the GPU at once; 2 if left out. With 1 the GPU waits for the host after each. */
  stepsInFlight?: number
  /** Told about what may be worth a line in the log. */
  onEvent?: (message: string, fields: Record<string, unknown>) => void
}

/** Least time between two checks of the prefix cache. */
const CACHE_CHECK_MS = 10_000

/** Less than a step that would hold a part of the sequences. */
const MASK_MOMENT_MS = 5

/** Most time between two looks at the deadlines of requests, as long as no step brings one about. */
const DEADLINE_CHECK_MS = 50

/** A step on the GPU. */
interface Flight {
  parts: Part[]
  /** Milliseconds on the engine's clock. */
  submitted: number
  /** Tokens of prompts and drawn ones. */
  tokens: number
  hasPrompt: boolean
  results: Promise<Uint32Array>
}

/** A generation that goes on from where another one is. */
export type ForkRequest = Omit<
  GenerationRequest,
  'prompt' | 'promptLogprobs' | 'sampleOf' | 'cacheSalt' | 'cacheBreakpoints'
>

export class GlazeEngine implements Engine {
  readonly #scheduler: Scheduler
  readonly #pool: StatePool
  readonly #forks: Forks
  readonly #masks: MaskRows
  #forkCount = 0
  #pumping: Promise<void> | undefined
  #fault: string | undefined
  /** Resolved by whatever may give the pump something to do. */
  #news = Promise.withResolvers<void>()
  /** Resolves when the engine has failed: nothing that waits for its device may ever end then. */
  readonly #failed = Promise.withResolvers<void>()
  #lastCacheCheck = 0
  #isDeviceLost = false
  /** When a step came back last, on the engine's clock. */
  #lastStep = 0
  /** Since when the step that is waited for is the GPU's first one, on the engine's clock. */
  #awaitedSince: number | undefined

  constructor(
    readonly runner: Pick<Runner, 'run' | 'decoder'>,
    readonly admission: PrefixAdmission,
    readonly options: EngineOptions,
  ) {
    this.#pool = new StatePool(runner.decoder.slots)
    this.#scheduler = new Scheduler(this.#pool, options)
    this.#forks = new Forks(this.#scheduler, admission, (from, to) => this.#noteFork(from, to))
    this.#masks = new MaskRows(admission.tables, options.onError)
  }

  submit(request: GenerationRequest): Generation {
    if (this.#fault !== undefined) throw stopped(this.#fault)
    const { prompt } = request
    checkRequest(request, this.runner.decoder.vocabSize)
    const { maxLength } = this.options
    const maxTokens = boundTokens(request.maxTokens, prompt.length, maxLength, 'prompt')
    const parent = this.#sequenceOf(request.sampleOf)
    // The prompt's scores are the parent's to report.
    const own = parent ? { ...request, promptLogprobs: undefined } : request
    const sequence = this.#create(own, maxTokens)
    // What only reads its prompt has no logits to share.
    sequence.parent = parent && parent.maxTokens > 0 ? parent : undefined
    this.admission.enter(sequence, this.#scheduler.sequences)
    this.#scheduler.add(sequence)
    this.#news.resolve()
    this.#pumping ??= this.#pump()
    return sequence.stream
  }

  /**
   * Goes on from where a running generation is, with other parameters: its text so far is part of
   * the context and is not reported again. The state is copied as soon as no step of the original is
   * on the GPU. A generation that still reads its prompt is sampled a second time instead.
   * @throws ApiError 409 if the generation has ended; the stream fails with 429 if no slot is free
   */
  fork(generation: Generation, request: ForkRequest): Generation {
    if (this.#fault !== undefined) throw stopped(this.#fault)
    if (this.#forks.children.some(({ stream }) => stream === generation)) {
      throw hasNotBegun(generation)
    }
    const parent = this.#sequenceOf(generation)
    if (parent === undefined) throw hasEnded(generation)
    const { prompt, cacheSalt, cacheBreakpoints } = parent.request
    if (request.maxTokens < 1) throw new ApiError(400, 'a fork generates at least 1 token')
    checkLogprobs(request.logprobs, 'logprobs')
    if (parent.sampled === 0) {
      const context = { prompt, cacheSalt, cacheBreakpoints, sampleOf: generation }
      return this.submit({ ...request, ...context })
    }
    // Tokens that are on their way count, too.
    const context = prompt.length + parent.sampled
    const { maxLength } = this.options
    const maxTokens = boundTokens(request.maxTokens, context, maxLength, 'the forked generation')
    const child = this.#create({ ...request, prompt }, maxTokens)
    this.#forks.add(parent, child)
    this.#news.resolve()
    return child.stream
  }

  stats(): EngineStats {
    return {
      slots: this.#pool.size,
      freeSlots: this.#pool.free,
      waiting: this.#scheduler.waiting,
      running: this.#scheduler.running,
      forks: this.#forkCount,
      prefixCache: this.admission.cache.stats(),
      silentMs: performance.now() - (this.#awaitedSince ?? performance.now()),
      fault: this.#fault,
      isDeviceLost: this.#isDeviceLost,
    }
  }

  /** Aborts everything, takes no more, and waits until the GPU is idle. */
  async close(): Promise<void> {
    this.#fault ??= 'it is shutting down'
    for (const { stream } of this.#all()) stream.abort()
    await this.#pumping
    await Promise.race([this.admission.cache.settled(), this.#failed.promise])
  }

  /** Ends every request with an error and takes no more. */
  loseDevice(reason: string): void {
    this.#isDeviceLost = true
    this.fail(`the GPU device was lost: ${reason}`)
  }

  /** Ends every request with an error and takes no more; for what cannot be mended. */
  fail(message: string): void {
    this.#fault ??= message
    const error = stopped(message)
    for (const { stream } of this.#all()) stream.fail(error)
    this.#forks.clear()
    this.#failed.resolve()
  }

  #all(): Sequence[] {
    return [...this.#scheduler.sequences, ...this.#forks.children]
  }

  #sequenceOf(generation: Generation | undefined): Sequence | undefined {
    if (generation === undefined) return undefined
    return this.#scheduler.sequences.find(({ stream }) => stream === generation)
  }

  #create(given: GenerationRequest, maxTokens: number): Sequence {
    const cuts = new Set(given.cacheBreakpoints)
    const request = { ...given, cacheBreakpoints: [...cuts].sort((a, b) => a - b) }
    const { seed } = request.sampling
    const { vocabSize } = this.runner.decoder
    const sequence: Sequence = new Sequence({
      request,
      seed: seed === undefined ? randomSeed() : BigInt(seed),
      maxTokens,
      text: new OutputText(this.options.tokenizer, request.prompt, request),
      stream: new GenerationStream(request.id, request.prompt.length, () => this.#end(sequence)),
      arrival: performance.now(),
      // Last: nothing after this can fail and leave a guide behind.
      mask: TokenMask.of(request, { vocabSize, eosTokenIds: this.options.eosTokenIds }),
    })
    this.#masks.add(sequence)
    return sequence
  }

  /** Takes back what a generation that has ended in whatever way holds. */
  #end(sequence: Sequence): void {
    noteEnd(sequence, this.options.observer)
    this.#scheduler.remove(sequence)
    this.#masks.remove(sequence)
    sequence.mask?.[Symbol.dispose]()
    this.#news.resolve()
  }

  /** Keeps steps going until there is nothing to do. */
  async #pump(): Promise<void> {
    // Requests that arrive in the same turn of the event loop share the first step.
    await Promise.resolve()
    const flights: Flight[] = []
    let fault = 'step failed'
    try {
      while (true) {
        this.#masks.begin()
        const masks = this.#masks.running
        if (masks) await this.#unlessLong(masks, flights[0])
        this.#endLateRequests()
        this.#forks.copy()
        while (flights.length < (this.options.stepsInFlight ?? 2)) {
          const flight = this.#launch()
          if (flight === undefined) break
          flights.push(flight)
        }
        const flight = flights.shift()
        if (flight === undefined) {
          // Of requests, too, that came while masks of others were waited for.
          this.#masks.begin()
          if (!this.#masks.areComing) break
          await this.#somethingNew()
          continue
        }
        this.#awaitedSince = Math.max(flight.submitted, this.#lastStep)
        const results = await flight.results
        this.#awaitedSince = undefined
        this.#noteStep(flight)
        takeResults(flight.parts, results, this.options)
      }
      fault = 'something leaked'
      this.#checkIdle()
    } catch (error) {
      this.options.onError?.(fault, error)
      // What went wrong inside is for the log, not for clients.
      this.fail(error instanceof DeviceError ? error.message : 'it failed; the log says why')
      // Later steps fail for the same reason; nobody else waits for them.
      await Promise.allSettled(flights.map(({ results }) => results))
    } finally {
      this.#awaitedSince = undefined
      this.#pumping = undefined
    }
  }

  /** Submits the next step, if there is one to make now. */
  #launch(): Flight | undefined {
    const shares = this.#scheduler.next(this.admission)
    if (shares.length === 0) return undefined
    const now = performance.now()
    for (const { sequence, copyOf } of shares) {
      sequence.inFlight++
      sequence.moments.admitted ??= now
      if (copyOf) this.#startCopy(sequence, copyOf.sequence)
    }
    const { work, parts } = buildStep(shares, this.admission)
    // Behind the steps before in the device's queue, ahead of this one.
    for (const { sequence, draws } of parts) if (draws) this.#masks.write(sequence)
    const results = this.runner.run(work)
    // Awaited later; until then a failure must not count as unhandled.
    results.catch(() => {})
    this.admission.cache.submitted()
    const submitted = performance.now()
    const tokens = shares.reduce((sum, { count }) => sum + count, 0)
    const hasPrompt = shares.some(({ count, decode }) => count > 0 && !decode)
    return { parts, results, submitted, tokens, hasPrompt }
  }

  /** Tells of a step that has just come back. */
  #noteStep({ parts, submitted, tokens, hasPrompt }: Flight): void {
    const now = performance.now()
    // Steps follow each other on the GPU: it began this one when it had ended the one before.
    const began = Math.max(submitted, this.#lastStep)
    this.#lastStep = now
    this.options.observer?.step({
      sequences: parts.length,
      tokens,
      seconds: (now - began) / 1000,
      phase: hasPrompt ? 'prefill' : 'decode',
    })
  }

  /** A sample that begins with the end of another one's prompt. */
  #startCopy(sequence: Sequence, parent: Sequence): void {
    this.admission.loadTables(sequence)
    sequence.cache.read = sequence.request.prompt.length
    this.#noteFork(parent, sequence)
  }

  #noteFork(parent: Sequence, child: Sequence): void {
    this.#forkCount++
    const { position } = child
    this.options.onEvent?.('fork', { from: parent.request.id, to: child.request.id, position })
  }

  /**
   * Waits for the masks of all running sequences, so that they stay together in one step; but no longer
   * than the GPU is busy, or a moment if it is not: it goes on without those that take longer.
   */
  async #unlessLong(masks: Promise<unknown>, flight: Flight | undefined): Promise<void> {
    if (flight) return void (await Promise.race([masks, flight.results]))
    const moment = Promise.withResolvers<void>()
    const timer = setTimeout(moment.resolve, MASK_MOMENT_MS)
    await Promise.race([masks, moment.promise])
    clearTimeout(timer)
  }

  /** With nothing on the GPU: waits for a mask, a request that comes or goes, or the next deadline. */
  async #somethingNew(): Promise<void> {
    this.#news = Promise.withResolvers()
    const timer = setTimeout(this.#news.resolve, DEADLINE_CHECK_MS)
    await Promise.race([this.#masks.next, this.#news.promise])
    clearTimeout(timer)
  }

  #endLateRequests(): void {
    const { queueTimeoutMs, requestTimeoutMs } = this.options
    if (queueTimeoutMs === undefined && requestTimeoutMs === undefined) return
    const now = performance.now()
    for (const sequence of this.#scheduler.sequences) {
      const error = lateness(sequence, this.options, now)
      if (error) sequence.stream.fail(error)
    }
  }

  /** With nothing to do, everything must be back where it belongs. */
  #checkIdle(): void {
    const { free, size } = this.#pool
    const { waiting, running } = this.#scheduler
    invariant(
      waiting === 0 && running === 0,
      `idle with ${waiting} sequences waiting and ${running} running`,
    )
    invariant(free === size, `idle with ${free} of ${size} slots free`)
    // Thousands of snapshots take milliseconds; requests that come one by one must not pay each time.
    const now = performance.now()
    if (now - this.#lastCacheCheck < CACHE_CHECK_MS) return
    this.#lastCacheCheck = now
    this.admission.cache.check()
  }
}

function stopped(fault: string): ApiError {
  return new ApiError(503, `the engine stopped: ${fault}`, { code: 'engine_fault' })
}

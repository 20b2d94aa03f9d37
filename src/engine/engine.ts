// The engine: takes requests, runs step after step while there is work, and hands out what the
// steps produce. All sequences share the steps; each has its own slot, sampler state and stream.
import { ApiError, invariant } from '../errors.ts'
import { logitRowsOf, type Segment } from '../gpu/step.ts'
import type { TokenBytes } from '../text/detokenizer.ts'
import { OutputText } from '../text/output-text.ts'
import { GenerationStream } from './generation.ts'
import { randomSeed, uniform } from './random.ts'
import type {
  Engine,
  EngineStats,
  FinishReason,
  Generation,
  GenerationRequest,
  OutputToken,
} from './request.ts'
import type { Runner } from './runner.ts'
import { sample, tokenLogprobs } from './sampler.ts'
import { Scheduler, type SchedulerLimits, type Share } from './scheduler.ts'
import { Sequence } from './sequence.ts'
import { StatePool } from './state-pool.ts'

export interface EngineOptions extends SchedulerLimits {
  /** Token bytes of the model's vocabulary. */
  tokenizer: TokenBytes
  /** Any of these ends a generation. */
  eosTokenIds: readonly number[]
  /** Most tokens of prompt and completion together; undefined: no bound. */
  maxLength: number | undefined
  /** Told about faults that are ours. */
  onError?: (message: string, error: unknown) => void
}

export class GlazeEngine implements Engine {
  readonly #scheduler: Scheduler
  readonly #pool: StatePool
  readonly #eos: ReadonlySet<number>
  #pumping: Promise<void> | undefined
  #fault: string | undefined

  constructor(
    readonly runner: Pick<Runner, 'run' | 'decoder'>,
    readonly options: EngineOptions,
  ) {
    this.#pool = new StatePool(runner.decoder.slots)
    this.#scheduler = new Scheduler(this.#pool, options)
    this.#eos = new Set(options.eosTokenIds)
  }

  submit(request: GenerationRequest): Generation {
    const maxTokens = this.#admit(request)
    const stream = new GenerationStream(request.id, request.prompt.length, () =>
      this.#scheduler.remove(sequence),
    )
    const text = new OutputText(this.options.tokenizer, request.prompt, request.stop)
    const { seed } = request.sampling
    const sequence = new Sequence(
      request,
      seed === undefined ? randomSeed() : BigInt(seed),
      maxTokens,
      text,
      stream,
    )
    this.#scheduler.add(sequence)
    this.#pumping ??= this.#pump()
    return stream
  }

  stats(): EngineStats {
    return {
      slots: this.#pool.size,
      freeSlots: this.#pool.free,
      waiting: this.#scheduler.waiting,
      running: this.#scheduler.running,
      fault: this.#fault,
    }
  }

  /** Aborts everything, takes no more, and waits until the GPU is idle. */
  async close(): Promise<void> {
    this.#fault ??= 'it is shutting down'
    for (const sequence of this.#scheduler.sequences) sequence.stream.abort()
    await this.#pumping
  }

  /** Ends every request with an error and takes no more; for a device that is gone. */
  fail(message: string): void {
    this.#fault ??= message
    const error = stopped(message)
    for (const sequence of this.#scheduler.sequences) {
      this.#scheduler.remove(sequence)
      sequence.stream.fail(error)
    }
  }

  /** Checks a request and returns how many tokens it may generate. */
  #admit({ prompt, maxTokens }: GenerationRequest): number {
    if (this.#fault !== undefined) throw stopped(this.#fault)
    const { vocabSize } = this.runner.decoder
    if (prompt.length === 0) {
      throw new ApiError(400, 'prompt holds no tokens; at least 1 is needed', { param: 'prompt' })
    }
    const foreign = prompt.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize)
    if (foreign !== undefined) {
      throw new ApiError(400, `prompt holds token id ${foreign}; ids are 0 to ${vocabSize - 1}`, {
        param: 'prompt',
      })
    }
    const { maxLength } = this.options
    if (maxLength === undefined) return maxTokens
    // As in vLLM: a completion is cut to what is left, only the prompt itself is refused.
    const left = maxLength - prompt.length
    if (left < Math.min(maxTokens, 1)) {
      throw new ApiError(
        400,
        `prompt has ${prompt.length} tokens; the model takes ${maxLength} with the completion`,
        { param: 'prompt', code: 'context_length_exceeded' },
      )
    }
    return Math.min(maxTokens, left)
  }

  /** Runs steps until there is nothing to do. */
  async #pump(): Promise<void> {
    // Requests that arrive in the same turn of the event loop share the first step.
    await Promise.resolve()
    try {
      for (let shares = this.#scheduler.next(); shares.length > 0; ) {
        await this.#step(shares)
        shares = this.#scheduler.next()
      }
      invariant(
        this.#pool.free === this.#pool.size,
        `idle with ${this.#pool.free} of ${this.#pool.size} slots free`,
      )
    } catch (error) {
      this.options.onError?.('step failed', error)
      this.fail(error instanceof Error ? error.message : String(error))
    } finally {
      this.#pumping = undefined
    }
  }

  async #step(shares: readonly Share[]): Promise<void> {
    const segments = shares.map(toSegment)
    const fresh = shares.filter((share) => share.fresh).map((share) => share.slot)
    await this.runner.run(segments, fresh, (logits) => {
      const { vocabSize } = this.runner.decoder
      let row = 0
      for (const [index, { sequence, count }] of shares.entries()) {
        const rows = logitRowsOf(segments[index])
        const first = row * vocabSize
        row += rows
        // Aborted while the step ran: its slot may be someone else's by now.
        if (sequence.stream.ended) continue
        try {
          this.#advance(sequence, count, logits.subarray(first, first + rows * vocabSize))
        } catch (error) {
          this.options.onError?.(`request ${sequence.request.id} failed`, error)
          this.#scheduler.remove(sequence)
          sequence.stream.fail(new ApiError(500, `generation failed: ${error}`))
        }
      }
    })
  }

  /** Takes a sequence past the tokens of a step; `logits` [rows, vocabSize] may have no rows. */
  #advance(sequence: Sequence, count: number, logits: Float32Array): void {
    const { request, stream } = sequence
    const { vocabSize } = this.runner.decoder
    if (sequence.prefilling && sequence.scoresPrompt) scorePrompt(sequence, logits, vocabSize)
    sequence.position += count
    if (sequence.prefilling) return

    const promptLogprobs =
      sequence.scoresPrompt && sequence.generated.length === 0 ? sequence.promptLogprobs : undefined
    if (sequence.maxTokens === 0) {
      this.#scheduler.remove(sequence)
      stream.push({ text: '', tokens: [], promptLogprobs, finish: { reason: 'length' } })
      return
    }
    const last = logits.subarray(logits.length - vocabSize)
    const id = sample(last, request.sampling, uniform(sequence.seed, sequence.generated.length))
    sequence.generated.push(id)
    const token: OutputToken =
      request.logprobs === undefined ? { id } : tokenLogprobs(last, id, request.logprobs)
    const { text, finish } = this.#finishOf(sequence, id)
    if (finish) this.#scheduler.remove(sequence)
    stream.push({ text, tokens: [token], promptLogprobs, finish })
  }

  /** The text that a sampled token releases, and why the generation ends with it, if it does. */
  #finishOf(
    sequence: Sequence,
    id: number,
  ): { text: string; finish?: { reason: FinishReason; stop?: string | number } } {
    const { request, text: output } = sequence
    if (this.#eos.has(id) && !request.ignoreEos) {
      const { text, stopped } = output.finish()
      return { text, finish: { reason: 'stop', stop: stopped ?? id } }
    }
    const { text, stopped } = output.push(id)
    if (stopped !== undefined) return { text, finish: { reason: 'stop', stop: stopped } }
    if (sequence.generated.length < sequence.maxTokens) return { text }
    const rest = output.finish()
    const finish =
      rest.stopped === undefined
        ? { reason: 'length' as const }
        : { reason: 'stop' as const, stop: rest.stopped }
    return { text: text + rest.text, finish }
  }
}

function stopped(fault: string): ApiError {
  return new ApiError(503, `the engine stopped: ${fault}`, { code: 'engine_fault' })
}

function toSegment({ sequence, slot, count, decode }: Share): Segment {
  const { request, position } = sequence
  const tokens = decode
    ? [sequence.generated.at(-1)!]
    : request.prompt.slice(position, position + count)
  const ends = decode || position + count === request.prompt.length
  const scored = !decode && sequence.scoresPrompt
  return { slot, tokens, position, decode, logits: scored ? 'all' : ends ? 'last' : 'none' }
}

/** Row r of a prompt slice holds the logits of the prompt token after it. */
function scorePrompt(sequence: Sequence, logits: Float32Array, vocabSize: number): void {
  const { request, position, promptLogprobs } = sequence
  for (let row = 0; row < logits.length / vocabSize; row++) {
    const id = request.prompt[position + row + 1]
    if (id === undefined) return
    const scores = logits.subarray(row * vocabSize, (row + 1) * vocabSize)
    promptLogprobs.push(tokenLogprobs(scores, id, request.promptLogprobs!))
  }
}

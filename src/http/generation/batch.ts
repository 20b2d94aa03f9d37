// The generations of one HTTP request: admitted together, followed together, aborted together.

import type { Engine, Generation, GenerationRequest, Output } from '../../engine/request.ts'
import { ApiError } from '../../errors.ts'
import type { RequestRecord } from '../request-record.ts'

/** Running generations: prompt by prompt, the samples of each side by side. */
export class Batch {
  readonly #generations: Generation[] = []
  /** Those that answer for their prompt's use of the prefix cache: the first sample of each. */
  readonly #firsts = new Set<Generation>()
  readonly #record: RequestRecord
  #isAborted = false

  private constructor(record: RequestRecord) {
    this.#record = record
  }

  /**
   * Submits the samples of every prompt, all or none: if one is refused, those before it are
   * aborted and the refusal is thrown. The prompt of samples is computed once, for the first.
   * From here on a client that hangs up (`signal`) frees every slot at once.
   */
  static submit(
    engine: Engine,
    prompts: readonly (readonly GenerationRequest[])[],
    record: RequestRecord,
    signal: AbortSignal,
  ): Batch {
    const batch = new Batch(record)
    try {
      for (const samples of prompts) batch.#submitSamples(engine, samples)
    } catch (error) {
      batch.abort()
      throw error
    }
    if (signal.aborted) batch.abort()
    else signal.addEventListener('abort', () => batch.abort(), { once: true })
    return batch
  }

  /** How many generations there are. */
  get size(): number {
    return this.#generations.length
  }

  /** Frees every slot; `follow` then ends early. Aborting twice is harmless. */
  abort(): void {
    if (this.#isAborted) return
    this.#isAborted = true
    for (const generation of this.#generations) generation.abort()
  }

  /**
   * Hands every output to `onOutput` with the index of its generation, until all have ended.
   * Resolves early after an abort. Rejects with the first failure, which ends the others.
   */
  async follow(onOutput: (index: number, output: Output) => void): Promise<void> {
    const failures: unknown[] = []
    await Promise.all(
      this.#generations.map(async (generation, index) => {
        try {
          await this.#followOne(generation, (output) => onOutput(index, output))
        } catch (error) {
          failures.push(error)
          this.abort()
        }
      }),
    )
    if (failures.length > 0) throw failures[0]
  }

  #submitSamples(engine: Engine, samples: readonly GenerationRequest[]): void {
    let first: Generation | undefined
    for (const request of samples) {
      const generation = engine.submit(first ? { ...request, sampleOf: first } : request)
      this.#generations.push(generation)
      first ??= generation
    }
    if (first === undefined) return
    this.#firsts.add(first)
    this.#record.promptTokens += first.promptTokens
  }

  async #followOne(generation: Generation, onOutput: (output: Output) => void): Promise<void> {
    try {
      for await (const output of generation) {
        this.#record.addOutput(output)
        if (this.#firsts.has(generation)) this.#record.addCacheUse(output.cache)
        onOutput(output)
        if (output.finish !== undefined) {
          this.#record.addEnding(output.finish.reason)
          return
        }
      }
    } catch (error) {
      this.#record.addEnding('error')
      throw error
    }
    this.#record.addEnding('abort')
    // Without a finish and not by our wish: a short answer must not pass for a whole one.
    if (!this.#isAborted) {
      throw new ApiError(503, 'the server stopped this request before it was finished', {
        code: 'request_aborted',
      })
    }
  }
}

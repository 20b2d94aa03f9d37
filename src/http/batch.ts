// The generations of one HTTP request: admitted together, followed together, aborted together.

import type { Engine, Generation, GenerationRequest, Output } from '../engine/request.ts'
import { ApiError } from '../errors.ts'
import type { RequestRecord } from './request-record.ts'

/** Running generations in the order of their choices. */
export class Batch {
  #isAborted = false

  private constructor(
    private readonly generations: readonly Generation[],
    private readonly record: RequestRecord,
  ) {}

  /**
   * Submits all or none: if one is refused, those before it are aborted and the refusal is thrown.
   * From here on a client that hangs up (`signal`) frees every slot at once.
   */
  static submit(
    engine: Engine,
    requests: readonly GenerationRequest[],
    record: RequestRecord,
    signal: AbortSignal,
  ): Batch {
    const generations: Generation[] = []
    const batch = new Batch(generations, record)
    try {
      for (const request of requests) generations.push(engine.submit(request))
    } catch (error) {
      batch.abort()
      throw error
    }
    if (signal.aborted) batch.abort()
    signal.addEventListener('abort', () => batch.abort(), { once: true })
    return batch
  }

  /** Frees every slot; `follow` then ends early. Aborting twice is harmless. */
  abort(): void {
    if (this.#isAborted) return
    this.#isAborted = true
    for (const generation of this.generations) generation.abort()
  }

  /**
   * Hands every output to `onOutput` with the index of its choice, until all choices have ended.
   * Resolves early after an abort. Rejects with the first failure, which ends the other choices.
   */
  async follow(onOutput: (index: number, output: Output) => void): Promise<void> {
    const failures: unknown[] = []
    await Promise.all(
      this.generations.map(async (generation, index) => {
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

  async #followOne(generation: Generation, onOutput: (output: Output) => void): Promise<void> {
    try {
      for await (const output of generation) {
        this.record.addOutput(output)
        onOutput(output)
        if (output.finish !== undefined) {
          this.record.addEnding(output.finish.reason)
          return
        }
      }
    } catch (error) {
      this.record.addEnding('error')
      throw error
    }
    this.record.addEnding('abort')
    // Without a finish and not by our wish: a short answer must not pass for a whole one.
    if (!this.#isAborted) {
      throw new ApiError(503, 'the server stopped this request before it was finished', {
        code: 'request_aborted',
      })
    }
  }
}

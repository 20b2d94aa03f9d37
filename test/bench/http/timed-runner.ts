// A device whose steps only take time: they follow one another as on a GPU, and bring tokens drawn
// from a list. What is left of a server over it is the work of the host.
import type { Decoder } from '../../../models/decoder.ts'
import type { Runner, StepWork } from '../../../src/engine/runner.ts'
import type { Buffers } from '../../../src/gpu/buffers.ts'
import { RESULT_WORDS } from '../../../src/gpu/ops/sample.ts'
import { StepBuffer } from '../../../src/gpu/step.ts'

export interface TimedRunnerOptions {
  /** Milliseconds of a step on the device; with 0 it is done at the next turn of the event loop. */
  stepMs: number
  slots: number
  /** Prompt tokens that a step may hold. */
  promptTokens: number
  vocabSize: number
  /** Ids that are drawn. */
  ids: readonly number[]
  /** Looks for the end of a step at every turn of the event loop, and not by a timer. */
  polls: boolean
}

interface Running {
  /** When it ends, on the clock of performance.now(). */
  end: number
  done: () => void
}

export class TimedRunner implements Pick<Runner, 'run' | 'decoder'> {
  /** Milliseconds from the end of each step to when the host saw it. */
  readonly lateness: number[] = []
  readonly #running: Running[] = []
  /** When the device will have nothing to do. */
  #idleAt = 0
  #drawn = 0

  private constructor(
    readonly decoder: Decoder,
    readonly options: TimedRunnerOptions,
  ) {}

  /** @param buffers makes something that stands for buffers; nothing is read or written there */
  static async create(buffers: Buffers, options: TimedRunnerOptions): Promise<TimedRunner> {
    const { slots, promptTokens, vocabSize } = options
    const tokens = promptTokens + slots
    const decoder = {
      slots,
      vocabSize,
      layout: { slotFloats: 1 },
      step: await StepBuffer.create(buffers, { tokens, segments: slots, logitRows: tokens }),
    }
    return new TimedRunner(decoder as unknown as Decoder, options)
  }

  run({ segments, samples, restored }: StepWork): Promise<Uint32Array> {
    const queue = { writeBuffer: () => {} } as unknown as GPUQueue
    this.decoder.step.write(queue, segments, samples, restored)
    const results = new Uint32Array(samples.length * RESULT_WORDS)
    const { ids, stepMs } = this.options
    for (const row of samples.keys()) results[row * RESULT_WORDS] = ids[this.#drawn++ % ids.length]
    this.#idleAt = Math.max(this.#idleAt, performance.now()) + stepMs
    const { promise, resolve } = Promise.withResolvers<Uint32Array>()
    this.#running.push({ end: this.#idleAt, done: () => resolve(results) })
    if (this.#running.length === 1) this.#wait()
    return promise
  }

  #wait(): void {
    if (this.options.polls) setImmediate(() => this.#look())
    else setTimeout(() => this.#look(), Math.max(0, this.#running[0].end - performance.now()))
  }

  #look(): void {
    const now = performance.now()
    while (this.#running.length > 0 && this.#running[0].end <= now) {
      const { end, done } = this.#running.shift()!
      this.lateness.push(now - end)
      done()
    }
    if (this.#running.length > 0) this.#wait()
  }
}

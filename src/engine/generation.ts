// The stream of outputs between the engine's loop and whoever asked.
import type { Generation, Output } from './request.ts'

/** Outputs queue up here until they are iterated; nothing waits for a slow reader. */
export class GenerationStream implements Generation {
  readonly #outputs: Output[] = []
  #error: Error | undefined
  #ended = false
  #wake: (() => void) | undefined

  constructor(
    readonly id: string,
    readonly promptTokens: number,
    /** Called once, when the generation ends: with its last output, by an error or an abort. */
    readonly onEnd: () => void,
  ) {}

  /** False until the last output, an error or an abort. */
  get ended(): boolean {
    return this.#ended
  }

  push(output: Output): void {
    if (this.#ended) return
    this.#outputs.push(output)
    if (output.finish) this.#end()
    else this.#wake?.()
  }

  /** Ends the stream with an error that the reader's loop throws. */
  fail(error: Error): void {
    if (this.#ended) return
    this.#error = error
    this.#end()
  }

  abort(): void {
    if (!this.#ended) this.#end()
  }

  [Symbol.asyncIterator](): AsyncIterator<Output> {
    return {
      next: () => this.#next(),
      // Called when a loop is left early, even before its first round.
      return: async () => {
        this.abort()
        return { done: true, value: undefined }
      },
    }
  }

  #end(): void {
    this.#ended = true
    this.#wake?.()
    this.onEnd()
  }

  async #next(): Promise<IteratorResult<Output>> {
    while (true) {
      const value = this.#outputs.shift()
      if (value) return { done: false, value }
      if (this.#error) throw this.#error
      if (this.#ended) return { done: true, value: undefined }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}

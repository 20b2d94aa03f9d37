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
    /** Called at most once, when the reader gives up before the end. */
    readonly onAbort: () => void,
  ) {}

  /** False until the last output, an error or an abort. */
  get ended(): boolean {
    return this.#ended
  }

  push(output: Output): void {
    if (this.#ended) return
    this.#outputs.push(output)
    if (output.finish) this.#ended = true
    this.#wake?.()
  }

  /** Ends the stream with an error that the reader's loop throws. */
  fail(error: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    this.#wake?.()
  }

  abort(): void {
    if (this.#ended) return
    this.#ended = true
    this.onAbort()
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Output> {
    try {
      while (true) {
        const output = this.#outputs.shift()
        if (output) {
          yield output
        } else if (this.#error) {
          throw this.#error
        } else if (this.#ended) {
          return
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve
          })
        }
      }
    } finally {
      this.abort()
    }
  }
}

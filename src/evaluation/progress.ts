// How far the measurement of a model is.

import { CLEARED_LINE, overwriting } from '../serve/progress.ts'

const TERMINAL_MS = 200
const PLAIN_MS = 10_000

/** A line on stderr: written over and over on a terminal, and now and then elsewhere. */
export class EvalProgress implements Disposable {
  readonly #start: number
  #shown: number
  #isOpen = false

  /**
   * To be made before the first prompt is submitted: results come in groups, so that the time from
   * one to the next says little.
   * @param label the model @param unit what is counted
   */
  constructor(
    readonly label: string,
    readonly unit: string,
    readonly stream: Pick<NodeJS.WriteStream, 'write' | 'isTTY' | 'columns'> = process.stderr,
    readonly now: () => number = () => performance.now(),
  ) {
    this.#start = now()
    this.#shown = this.#start
  }

  show(done: number, total: number, found: string): void {
    const time = this.now()
    const { isTTY, columns } = this.stream
    if (time - this.#shown < (isTTY ? TERMINAL_MS : PLAIN_MS)) return
    this.#shown = time
    const rate = (1000 * done) / (time - this.#start)
    const left = Math.ceil((total - done) / rate)
    const speed = `${rate.toFixed(rate < 10 ? 1 : 0)}/s`
    const line = `${done} of ${total} ${this.unit}, ${speed}, ${left} s left, ${found}`
    this.#isOpen = isTTY
    this.stream.write(
      isTTY ? overwriting(this.label, done / total, line, columns) : `${this.label}: ${line}\n`,
    )
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) this.stream.write(CLEARED_LINE)
    this.#isOpen = false
  }
}

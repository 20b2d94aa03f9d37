// How far the measurement of a model is.

import { bar } from '../serve/progress.ts'

const TERMINAL_MS = 200
const PLAIN_MS = 10_000

/** A line on stderr: written over and over on a terminal, and now and then elsewhere. */
export class EvalProgress {
  #start: { time: number; done: number } | undefined
  #shown: number
  #isOpen = false

  /** @param label the model @param unit what is counted */
  constructor(
    readonly label: string,
    readonly unit: string,
    readonly stream: Pick<NodeJS.WriteStream, 'write' | 'isTTY'> = process.stderr,
    readonly now: () => number = () => performance.now(),
  ) {
    this.#shown = now()
  }

  show(done: number, total: number, found: string): void {
    const time = this.now()
    this.#start ??= { time, done }
    if (time - this.#shown < (this.stream.isTTY ? TERMINAL_MS : PLAIN_MS)) return
    this.#shown = time
    const rate = ((done - this.#start.done) / Math.max(time - this.#start.time, 1)) * 1000
    const left = rate > 0 ? `, ${Math.ceil((total - done) / rate)} s left` : ''
    const line = `${done} of ${total} ${this.unit}, ${rate.toFixed(0)}/s${left}, ${found}`
    this.#isOpen = this.stream.isTTY
    this.stream.write(
      this.stream.isTTY
        ? `\r\x1b[K${this.label}  ${bar(done / total)}  ${line}`
        : `${this.label}: ${line}\n`,
    )
  }

  end(): void {
    if (this.#isOpen) this.stream.write('\r\x1b[K')
    this.#isOpen = false
  }
}

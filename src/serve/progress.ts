// How far a model is downloaded, loaded or converted.

import { bytes } from './bytes.ts'

const BAR_CELLS = 24
/** Of a terminal that does not tell, or says 0. */
const COLUMNS = 80

/** How much is done of 1, as a bar. */
export function bar(part: number): string {
  const cells = Math.min(BAR_CELLS, Math.floor(part * BAR_CELLS))
  return '█'.repeat(cells) + '░'.repeat(BAR_CELLS - cells)
}

/**
 * The text that replaces the last line of a terminal, made to fit: of a line that is broken into two,
 * only the second would be replaced by the next.
 * @param part how much is done of 1
 */
export function overwriting(
  label: string,
  part: number,
  figures: string,
  columns: number | undefined,
): string {
  // The last column stays empty: some terminals go on to the next line behind it.
  const room = (columns || COLUMNS) - 1
  const [withBar, without] = [`${label}  ${bar(part)}  ${figures}`, `${label}  ${figures}`]
  const line = withBar.length <= room ? withBar : without.slice(0, room)
  return `${CLEARED_LINE}${line}`
}

/** Begins the last line of a terminal anew. */
export const CLEARED_LINE = '\r\x1b[K'

/** A line on stderr while bytes come, for models that take longer than a moment. */
export class Progress {
  /** When the first block was there: what came before says nothing of the rate. */
  #first: { time: number; done: number } | undefined
  #shown = 0

  /** @param verb what is done with the bytes, as `loading` */
  constructor(readonly verb: string) {}

  show(done: number, total: number): void {
    const now = performance.now()
    this.#first ??= { time: now, done }
    const seconds = (now - this.#first.time) / 1000
    const interval = process.stderr.isTTY ? 200 : 5000
    if (seconds < 1 || now - this.#shown < interval) return
    this.#shown = now
    const rate = (done - this.#first.done) / seconds
    const left = (total - done) / Math.max(rate, 1)
    const line = `${bytes(done)} of ${bytes(total)}, ${bytes(rate)}/s, ${Math.ceil(left)} s left`
    process.stderr.write(
      process.stderr.isTTY
        ? overwriting(this.verb, done / total, line, process.stderr.columns)
        : `${this.verb}  ${line}\n`,
    )
  }

  end(): void {
    if (this.#shown > 0 && process.stderr.isTTY) process.stderr.write(CLEARED_LINE)
  }
}

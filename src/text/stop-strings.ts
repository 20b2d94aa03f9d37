// Finds the first stop string in a text that arrives in pieces, and holds back what may become one.

import { invariant } from '../errors.ts'

/** Text that may be shown, and the stop string that ended it. */
export interface StoppableText {
  text: string
  /** Set once the text has ended at this stop string. */
  stopped?: string
}

/** One stop string with its Knuth-Morris-Pratt table. */
interface Matcher {
  stop: string
  /** Per matched length minus one: the next shorter length that still matches. */
  fallback: number[]
  /** Characters matched at the end of the text so far. */
  matched: number
}

export interface StopOptions {
  /** The text ends behind the stop string, not before it. */
  includeStop?: boolean
}

/**
 * The text ends before the stop string that is completed first; of several completed by the same
 * character, before the longest. So the result does not depend on how the text is cut into pieces.
 */
export class StopStrings {
  readonly #matchers: Matcher[]
  readonly #includesStop: boolean
  #held = ''
  #stopped: string | undefined

  /** `stops`: non-empty strings; none is fine. */
  constructor(stops: readonly string[], { includeStop = false }: StopOptions = {}) {
    this.#includesStop = includeStop
    this.#matchers = stops.map((stop) => {
      invariant(stop.length > 0, 'a stop string is empty')
      return { stop, fallback: fallbackTable(stop), matched: 0 }
    })
  }

  /** Adds text and returns the part that cannot belong to a stop string; nothing once stopped. */
  push(piece: string): StoppableText {
    if (this.#stopped !== undefined) return { text: '', stopped: this.#stopped }
    if (this.#matchers.length === 0) return { text: piece }
    const text = this.#held + piece
    for (let index = this.#held.length; index < text.length; index++) {
      const completed = this.#advance(text.charAt(index))
      if (completed === undefined) continue
      this.#held = ''
      this.#stopped = completed
      const end = index + 1 - (this.#includesStop ? 0 : completed.length)
      return { text: text.slice(0, end), stopped: completed }
    }
    return this.#release(text)
  }

  /** The same for text in which no stop string can end; one may begin there. */
  pass(piece: string): StoppableText {
    if (this.#matchers.length === 0) return { text: piece }
    for (const unit of piece.split('')) this.#advance(unit)
    return this.#release(this.#held + piece)
  }

  /** Ends the text: what was held back was no stop string after all. */
  finish(): StoppableText {
    const text = this.#held
    this.#held = ''
    return { text, stopped: this.#stopped }
  }

  /** Holds back the end of the text that may belong to a stop string which is to be left out. */
  #release(text: string): StoppableText {
    const longest = Math.max(...this.#matchers.map(({ matched }) => matched))
    const keep = this.#includesStop ? 0 : longest
    this.#held = text.slice(text.length - keep)
    return { text: text.slice(0, text.length - keep) }
  }

  /** Moves every matcher on by one UTF-16 unit; the longest stop string that it completes. */
  #advance(unit: string): string | undefined {
    let longest: string | undefined
    for (const matcher of this.#matchers) {
      const { stop, fallback } = matcher
      let matched = matcher.matched
      while (matched > 0 && stop[matched] !== unit) matched = fallback[matched - 1]
      if (stop[matched] === unit) matched++
      const isComplete = matched === stop.length
      // The end of this one may begin the next one.
      matcher.matched = isComplete ? fallback[matched - 1] : matched
      if (isComplete && stop.length > (longest?.length ?? 0)) longest = stop
    }
    return longest
  }
}

/** For each prefix of `stop`, the length of its longest proper suffix that is a prefix too. */
function fallbackTable(stop: string): number[] {
  const table = [0]
  for (let index = 1, length = 0; index < stop.length; index++) {
    while (length > 0 && stop[length] !== stop[index]) length = table[length - 1]
    if (stop[length] === stop[index]) length++
    table.push(length)
  }
  return table
}

// What follows the mark of a call, up to its end. Pieces are kept as they come and looked at once, so
// that a long block takes no more time than a short one per character.

export interface Block {
  /** Adds a piece. Once the block has ended: what of the piece comes after it. */
  push(piece: string): string | undefined
  /** All of it so far. */
  readonly text: string
  /** The same without its end mark. */
  readonly inside: string
}

/**
 * Two texts as one. Even nothing put before a text makes a copy of it once it is searched, and of an
 * answer with many calls each call would make one.
 */
export function joined(before: string, text: string): string {
  return before === '' ? text : before + text
}

/** Ends with a mark. */
export class TaggedBlock implements Block {
  readonly #end: string
  readonly #pieces: string[] = []
  /** What may be the beginning of the end mark. */
  #tail = ''
  #hasEnded = false

  constructor(end: string) {
    this.#end = end
  }

  get text(): string {
    return this.#pieces.join('')
  }

  get inside(): string {
    return this.#hasEnded ? this.text.slice(0, -this.#end.length) : this.text
  }

  push(piece: string): string | undefined {
    const searched = joined(this.#tail, piece)
    const found = searched.indexOf(this.#end)
    if (found < 0) {
      this.#pieces.push(piece)
      this.#tail = searched.slice(1 - this.#end.length)
      return undefined
    }
    const stop = found + this.#end.length - this.#tail.length
    this.#pieces.push(piece.slice(0, stop))
    this.#hasEnded = true
    return piece.slice(stop)
  }
}

/** Ends with a JSON value that may be calls, or where it becomes certain that there is none. */
export class JsonBlock implements Block {
  readonly #pieces: string[] = []
  /** The first two characters but for spaces. */
  #beginning = ''
  #depth = 0
  #isInString = false
  #isEscaped = false

  get text(): string {
    return this.#pieces.join('')
  }

  get inside(): string {
    return this.text
  }

  push(piece: string): string | undefined {
    for (let at = 0; at < piece.length; at++) {
      if (!this.#endsWith(piece[at])) continue
      this.#pieces.push(piece.slice(0, at + 1))
      return piece.slice(at + 1)
    }
    this.#pieces.push(piece)
    return undefined
  }

  #endsWith(character: string): boolean {
    if (this.#isInString) {
      if (this.#isEscaped) this.#isEscaped = false
      else if (character === '\\') this.#isEscaped = true
      else if (character === '"') this.#isInString = false
      return false
    }
    if (' \t\r\n'.includes(character)) return false
    if (this.#beginning.length < 2) {
      this.#beginning += character
      if (!beginsCalls(this.#beginning)) return true
    }
    if (character === '"') this.#isInString = true
    else if (character === '{' || character === '[') this.#depth++
    else if (character === '}' || character === ']') this.#depth--
    return this.#depth === 0
  }
}

/** Calls are an object or a list of objects; both may be empty as far as this tells. */
function beginsCalls(beginning: string): boolean {
  return /^(\{["}]?|\[[{\]]?)$/.test(beginning)
}

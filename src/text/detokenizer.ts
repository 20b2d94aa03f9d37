// Turns token ids into text one at a time. Text that was given out never changes: bytes of an
// unfinished UTF-8 character wait for the rest of it.

import { codePoints } from '../code-points.ts'

/** What the detokenizer must know of a tokenizer. */
export interface TokenBytes {
  /** UTF-8 bytes that a token adds to a text; may be part of a character; empty if unknown. */
  bytes(id: number): Uint8Array
  isSpecial(id: number): boolean
  /** Encoding puts a space before the text, so one is dropped at the start of the text. */
  readonly stripsLeadingSpace: boolean
}

export interface DetokenizerOptions {
  /**
   * Tokens that stand before. The text is then what the tokens add to the text of these: a first
   * word keeps its space, and a character split over the border belongs to the new text.
   */
  after?: readonly number[]
  /** Leave tokens like `</s>` out of the text; default true. */
  skipSpecialTokens?: boolean
}

const SPACE = 0x20
const EMPTY = new Uint8Array()
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** Incremental decoder for one sequence; the cost of a token does not grow with the text. */
export class Detokenizer {
  readonly #tokens: TokenBytes
  readonly #skipSpecial: boolean
  /** Up to three bytes that begin a character. */
  #pending: Uint8Array = EMPTY
  /** The pending bytes begin with bytes of `after`, whose text already has a U+FFFD for them. */
  #borrowed = false
  #atTextStart = true
  /** Code points given out. */
  #length = 0
  #offset = 0

  constructor(tokens: TokenBytes, options: DetokenizerOptions = {}) {
    this.#tokens = tokens
    this.#skipSpecial = options.skipSpecialTokens ?? true
    if (options.after) this.#lookBack(options.after)
  }

  /** Code points of the text given out so far. */
  get length(): number {
    return this.#length
  }

  /**
   * Code points of the text before the token that was added last. A token that goes on with a
   * character which others began has the offset of that character.
   */
  get offset(): number {
    return this.#offset
  }

  /** Adds a token and returns the text that is now certain; often one word, sometimes none. */
  push(id: number): string {
    let bytes = this.#bytes(id)
    this.#offset = this.#length
    if (bytes.length === 0) return ''
    if (this.#atTextStart) {
      this.#atTextStart = false
      if (this.#tokens.stripsLeadingSpace && bytes[0] === SPACE) bytes = bytes.subarray(1)
    }
    if (this.#breaksCharacter(bytes)) this.#offset++
    const all = this.#pending.length === 0 ? bytes : concat(this.#pending, bytes)
    const unfinished = unfinishedLength(all)
    if (unfinished === 0) {
      // The usual case needs no views of the bytes: they take as long as the rest of this method.
      this.#pending = EMPTY
      return this.#decode(all)
    }
    const end = all.length - unfinished
    this.#pending = all.subarray(end)
    return end === 0 ? '' : this.#decode(all.subarray(0, end))
  }

  /** Ends the text: an unfinished character becomes U+FFFD. */
  finish(): string {
    const rest = this.#pending
    this.#pending = EMPTY
    return rest.length === 0 ? '' : this.#decode(rest)
  }

  #bytes(id: number): Uint8Array {
    return this.#skipSpecial && this.#tokens.isSpecial(id) ? EMPTY : this.#tokens.bytes(id)
  }

  #decode(bytes: Uint8Array): string {
    let text = utf8.decode(bytes)
    if (this.#borrowed && text.startsWith('\ufffd')) text = text.slice(1)
    this.#borrowed = false
    this.#length += codePoints(text)
    return text
  }

  /** True if the pending bytes become a U+FFFD of this text because these bytes do not go on. */
  #breaksCharacter(bytes: Uint8Array): boolean {
    if (this.#pending.length === 0 || this.#borrowed || bytes.length === 0) return false
    return codePoints(utf8.decode(concat(this.#pending, bytes.subarray(0, 1)))) > 1
  }

  #lookBack(context: readonly number[]): void {
    let tail: Uint8Array = EMPTY
    for (let index = context.length - 1; index >= 0 && tail.length < 3; index--) {
      tail = concat(this.#bytes(context[index]), tail)
    }
    this.#atTextStart = tail.length === 0
    this.#pending = tail.subarray(tail.length - unfinishedLength(tail))
    this.#borrowed = this.#pending.length > 0
  }
}

/**
 * How many bytes at the end begin a UTF-8 character that more bytes could finish: 0 to 3. Cutting
 * there is safe because a decoder always starts afresh at a byte that is not a continuation.
 */
function unfinishedLength(bytes: Uint8Array): number {
  for (let length = 1; length <= 3 && length <= bytes.length; length++) {
    const lead = bytes[bytes.length - length]
    if ((lead & 0xc0) === 0x80) continue
    const needed = lead < 0xc2 || lead > 0xf4 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
    if (length >= needed) return 0
    // One U+FFFD means a good beginning; more mean that no further byte can repair it.
    return utf8.decode(bytes.subarray(bytes.length - length)).length === 1 ? length : 0
  }
  return 0
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = new Uint8Array(first.length + second.length)
  all.set(first)
  all.set(second, first.length)
  return all
}

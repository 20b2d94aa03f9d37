// The text of one generation as it may be sent: whole characters, up to the first stop string.

import { Detokenizer, type TokenBytes } from './detokenizer.ts'
import { type StoppableText, StopStrings } from './stop-strings.ts'

export interface OutputTextOptions {
  /** Non-empty strings that end the text. */
  stop?: readonly string[]
  /** The text ends behind the stop string, not before it. */
  includeStop?: boolean
  /** Stop strings that the text of so many tokens completes end nothing; 0 if left out. */
  minTokens?: number
  /** Leave tokens like `</s>` out of the text; true if left out. */
  skipSpecialTokens?: boolean
}

/** What a token adds to the text. */
export interface OutputPiece extends StoppableText {
  /** Code points of the generated text before the token, whatever stop strings cut off. */
  offset: number
}

/**
 * Everything returned, concatenated, is `tokenizer.decode(ids, { after: prompt })` cut at the first
 * stop string. Nothing returned is ever taken back.
 */
export class OutputText {
  readonly #tokens: TokenBytes
  readonly #options: OutputTextOptions
  readonly #stops: StopStrings
  #detokenizer: Detokenizer
  /** Tokens added. */
  #count = 0

  /** `prompt`: the ids before. */
  constructor(tokens: TokenBytes, prompt: readonly number[], options: OutputTextOptions = {}) {
    this.#tokens = tokens
    this.#options = options
    this.#stops = new StopStrings(options.stop ?? [], options)
    this.#detokenizer = this.#after(prompt)
  }

  /** Replaces the ids before, as long as no token was added. */
  setContext(ids: readonly number[]): void {
    this.#detokenizer = this.#after(ids)
  }

  /** Adds a generated token; `stopped` is the stop string that ended the text, if one did. */
  push(id: number): OutputPiece {
    this.#count++
    const piece = this.#search(this.#detokenizer.push(id))
    return { ...piece, offset: this.#detokenizer.offset }
  }

  /** The rest of the text, once no token follows. */
  finish(): StoppableText {
    const { text, stopped } = this.#search(this.#detokenizer.finish())
    const rest = this.#stops.finish()
    return { text: text + rest.text, stopped }
  }

  /** Ends the text with a stop token, which is part of it where stop strings are. */
  finishAt(id: number): OutputPiece {
    if (!this.#options.includeStop) return { ...this.finish(), offset: this.#detokenizer.length }
    const { text, offset } = this.push(id)
    const rest = this.finish()
    return { text: text + rest.text, stopped: rest.stopped, offset }
  }

  #after(ids: readonly number[]): Detokenizer {
    const { skipSpecialTokens } = this.#options
    return new Detokenizer(this.#tokens, { after: ids, skipSpecialTokens })
  }

  #search(piece: string): StoppableText {
    const { minTokens = 0 } = this.#options
    return this.#count > minTokens ? this.#stops.push(piece) : this.#stops.pass(piece)
  }
}

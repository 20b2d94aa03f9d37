// The text of one generation as it may be sent: whole characters, up to the first stop string.

import { Detokenizer, type TokenBytes } from './detokenizer.ts'
import { type StoppableText, StopStrings } from './stop-strings.ts'

/**
 * Everything returned, concatenated, is `tokenizer.decode(ids, { after: prompt })` cut before the
 * first stop string. Nothing returned is ever taken back.
 */
export class OutputText {
  readonly #tokens: TokenBytes
  #detokenizer: Detokenizer
  readonly #stops: StopStrings

  /** `prompt`: the ids before; `stop`: non-empty strings that end the text. */
  constructor(tokens: TokenBytes, prompt: readonly number[], stop: readonly string[]) {
    this.#tokens = tokens
    this.#detokenizer = new Detokenizer(tokens, { after: prompt })
    this.#stops = new StopStrings(stop)
  }

  /** Replaces the ids before, as long as no token was added. */
  setContext(ids: readonly number[]): void {
    this.#detokenizer = new Detokenizer(this.#tokens, { after: ids })
  }

  /** Adds a generated token; `stopped` is the stop string that ended the text, if one did. */
  push(id: number): StoppableText {
    return this.#stops.push(this.#detokenizer.push(id))
  }

  /** The rest of the text, once no token follows. */
  finish(): StoppableText {
    const { text, stopped } = this.#stops.push(this.#detokenizer.finish())
    const rest = this.#stops.finish()
    return { text: text + rest.text, stopped }
  }
}

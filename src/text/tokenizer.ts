// Text to token ids and back. Encoding is @huggingface/tokenizers; decoding is done here.

import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers'
import { CheckpointError } from '../errors.ts'
import { Detokenizer, type DetokenizerOptions, type TokenBytes } from './detokenizer.ts'
import { BYTE_CHARACTERS, forLibrary, type Layout, MARK, readLayout } from './layout.ts'
import {
  readTokenizerJson,
  readTokenRoles,
  type TokenizerJson,
  type TokenRoles,
} from './tokenizer-json.ts'

export interface EncodeOptions {
  /** Add what the checkpoint puts around a text, mostly a beginning-of-sequence token; default true. */
  addSpecialTokens?: boolean
}

const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/
const BYTE_BY_CHARACTER = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]))
const EMPTY = new Uint8Array()
const toUtf8 = new TextEncoder()
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The tokenizer of a checkpoint.
 *
 * The library decodes whole sequences only, drops a U+FEFF spelled in bytes, and tidies up spaces
 * unless told not to, so ids become text through `Detokenizer`. That differs from the Rust library
 * in one point: bytes that are no UTF-8 become one U+FFFD for each broken part, as in the WHATWG
 * standard, and spare the characters beside them; Rust replaces every byte of the run, which could
 * not be streamed without taking text back.
 */
export class Tokenizer implements TokenBytes {
  /** Highest id + 1. */
  readonly vocabSize: number
  readonly bosTokenId: number | undefined
  readonly eosTokenId: number | undefined
  readonly stripsLeadingSpace: boolean
  readonly #library: LibraryTokenizer
  readonly #layout: Layout
  /** Token strings by id; a hole where no token has the id. */
  readonly #strings: string[] = []
  readonly #added = new Set<number>()
  readonly #special = new Set<number>()

  private constructor(json: TokenizerJson, layout: Layout, roles: TokenRoles) {
    this.#layout = layout
    this.#library = new LibraryTokenizer(forLibrary(json), {})
    for (const [token, id] of Object.entries(json.model.vocab)) this.#strings[id] = token
    for (const { id, content, special } of json.added_tokens) {
      this.#strings[id] = content
      this.#added.add(id)
      if (special) this.#special.add(id)
    }
    this.vocabSize = this.#strings.length
    this.stripsLeadingSpace = layout.stripsLeadingSpace
    this.bosTokenId = roles.bosTokenId
    this.eosTokenId = roles.eosTokenId
  }

  /**
   * Reads tokenizer.json and, if its path is given, tokenizer_config.json (only `bos_token` and
   * `eos_token`). Throws CheckpointError for files that are missing, broken or of another layout.
   */
  static async open(
    tokenizerJson: string,
    tokenizerConfigJson: string | undefined,
  ): Promise<Tokenizer> {
    const json = await readTokenizerJson(tokenizerJson)
    const roles = tokenizerConfigJson ? await readTokenRoles(tokenizerConfigJson, json) : {}
    try {
      return new Tokenizer(json, readLayout(tokenizerJson, json), roles)
    } catch (error) {
      // Damage deep inside a part shows as a TypeError here or in the library.
      if (error instanceof CheckpointError) throw error
      throw new CheckpointError(tokenizerJson, `cannot be used: ${(error as Error).message}`)
    }
  }

  /**
   * Ids of a text. As with Hugging Face, text that spells a special token, for example `<s>`,
   * becomes that token. `decode` gives the text back, but for such tokens, unpaired surrogates, what
   * an NFC normalizer changes, `▁` in a metaspace vocabulary (it means a space) and a leading space
   * in front of a Metaspace pre-tokenizer (which adds one only if there is none).
   */
  encode(text: string, options: EncodeOptions = {}): number[] {
    return this.#library.encode(text, { add_special_tokens: options.addSpecialTokens ?? true }).ids
  }

  /** Text of ids; see `DetokenizerOptions.after` for ids that continue others. */
  decode(ids: readonly number[], options: DetokenizerOptions = {}): string {
    const detokenizer = new Detokenizer(this, options)
    let text = ''
    for (const id of ids) text += detokenizer.push(id)
    return text + detokenizer.finish()
  }

  /** What each id adds to the text of those before it; joined they are what `decode` gives. */
  pieces(ids: readonly number[], options: DetokenizerOptions = {}): string[] {
    const detokenizer = new Detokenizer(this, options)
    const pieces = ids.map((id) => detokenizer.push(id))
    const rest = detokenizer.finish()
    if (rest !== '') pieces.push((pieces.pop() ?? '') + rest)
    return pieces
  }

  /** The id of a token by its exact name in the vocabulary. */
  id(token: string): number | undefined {
    return this.#library.token_to_id(token)
  }

  /** Whether `decode` leaves the token out by default, as it does with `</s>`. */
  isSpecial(id: number): boolean {
    return this.#special.has(id)
  }

  /** UTF-8 bytes that a token adds to a text; may be part of a character; empty for no token. */
  bytes(id: number): Uint8Array {
    const token = this.#strings[id]
    if (token === undefined) return EMPTY
    if (this.#layout.spelling === 'metaspace') {
      const byte = BYTE_TOKEN.exec(token)
      if (byte) return Uint8Array.of(Number.parseInt(byte[1], 16))
      return toUtf8.encode(token.replaceAll(MARK, ' '))
    }
    const bytes = Array.from(token, (character) => BYTE_BY_CHARACTER.get(character))
    const spelled = !this.#added.has(id) && bytes.every((byte) => byte !== undefined)
    return spelled ? Uint8Array.from(bytes as number[]) : toUtf8.encode(token)
  }

  /**
   * A token on its own, for lists of log-probabilities: its text, or if its bytes are no whole
   * characters the notation of the OpenAI API, for example `bytes:\xe4\xbd`.
   */
  display(id: number): string {
    const bytes = this.bytes(id)
    try {
      return strictUtf8.decode(bytes)
    } catch {
      return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`
    }
  }
}

// Which tokens may be drawn next for one generation: those that its grammar allows, without those that
// the request bans and those that would end it too early. Counts and runs of tokens are those of the
// generation itself; the prompt, and for a fork its original, are no part of them.
import { invariant } from '../errors.ts'
import type { TokenGuide } from '../grammar/guide.ts'
import type { GenerationRequest } from './request.ts'

export interface Vocabulary {
  vocabSize: number
  /** End-of-sequence tokens of the model. */
  eosTokenIds: readonly number[]
}

/** Words of a mask: bit i % 32 of word i / 32 stands for token i. */
export function maskWords(vocabSize: number): number {
  return Math.ceil(vocabSize / 32)
}

/**
 * Made for a generation and disposed with it. For each token, `take` gives the mask before the step
 * that draws it, and `accept` takes the id after it. A mask that follows from the tokens drawn so far
 * is computed by `prepare` in between, so only one token can be on its way then.
 */
export class TokenMask implements Disposable {
  /** Tokens that nothing bans for good. */
  readonly #base: Uint32Array<ArrayBuffer>
  readonly #guide: TokenGuide | undefined
  /** Runs of two tokens and more that must not be completed. */
  readonly #runs: readonly (readonly number[])[]
  /** Tokens that end the generation, and before how many tokens they must not. */
  readonly #endIds: readonly number[]
  readonly #minTokens: number
  /** As many of the tokens generated last as a run can begin with. */
  readonly #recent: number[] = []
  readonly #recentLength: number
  /** The next token's mask, once it is computed. */
  #words: Uint32Array<ArrayBuffer> | undefined
  /** Masks taken, and tokens accepted. */
  #taken = 0
  #accepted = 0

  private constructor(request: GenerationRequest, { vocabSize, eosTokenIds }: Vocabulary) {
    const { sampling, guide, stopTokenIds = [], minTokens = 0 } = request
    const { allowedTokenIds, bannedTokenIds = [], bannedSequences = [] } = sampling
    const single = bannedSequences.filter(({ length }) => length === 1).flat()
    this.#base = baseMask(vocabSize, allowedTokenIds, [...bannedTokenIds, ...single])
    this.#runs = bannedSequences.filter(({ length }) => length > 1)
    this.#recentLength = this.#runs.reduce((most, { length }) => Math.max(most, length - 1), 0)
    this.#endIds = [...eosTokenIds, ...stopTokenIds]
    this.#minTokens = minTokens
    // Last, so that nothing that fails can leave one behind.
    this.#guide = guide?.()
  }

  /** The mask of a request; undefined if it may always draw any token. */
  static of(request: GenerationRequest, vocabulary: Vocabulary): TokenMask | undefined {
    const { sampling, guide, minTokens = 0 } = request
    const { allowedTokenIds, bannedTokenIds = [], bannedSequences = [] } = sampling
    const isNeeded =
      guide !== undefined ||
      allowedTokenIds !== undefined ||
      bannedTokenIds.length + bannedSequences.length + minTokens > 0
    return isNeeded ? new TokenMask(request, vocabulary) : undefined
  }

  /** True if each mask depends on the tokens drawn before it. */
  get followsTokens(): boolean {
    return this.#guide !== undefined || this.#runs.length > 0
  }

  /** True if the next token can be drawn: its mask is known. */
  get isReady(): boolean {
    return !this.followsTokens || this.#words !== undefined
  }

  /** True if the next mask can be computed and is not. */
  get isDue(): boolean {
    return !this.isReady && this.#accepted === this.#taken
  }

  /** Computes the next mask, which must be due. Fails if the guide does. */
  async prepare(): Promise<void> {
    this.#words = this.#restrict(await this.#guide?.allowed())
  }

  /**
   * The mask of the next token, which is about to be drawn.
   * @returns maskWords(vocabSize) words; undefined if the mask is the same as for the token before
   */
  take(): Uint32Array<ArrayBuffer> | undefined {
    const index = this.#taken++
    if (!this.followsTokens) {
      return index === 0 || index === this.#minTokens ? this.#restrict(undefined, index) : undefined
    }
    const words = this.#words
    invariant(words, 'a token is drawn before its mask is known')
    this.#words = undefined
    return words
  }

  /** Goes on by a token that was drawn and does not end the generation. Fails if the guide does. */
  accept(id: number): void {
    this.#accepted++
    this.#guide?.accept(id)
    this.#recent.push(id)
    if (this.#recent.length > this.#recentLength) this.#recent.shift()
  }

  [Symbol.dispose](): void {
    this.#guide?.[Symbol.dispose]()
  }

  /** The mask of a token: of those allowed by the guide, if there is one, the ones to draw from. */
  #restrict(allowed: Uint32Array | undefined, index = this.#taken): Uint32Array<ArrayBuffer> {
    const words = this.#base.slice()
    if (this.#guide) for (let i = 0; i < words.length; i++) words[i] &= allowed?.[i] ?? 0
    for (const run of this.#runs) if (this.#completes(run)) ban(words, run[run.length - 1])
    if (index >= this.#minTokens) return words
    const goingOn = words.slice()
    for (const id of this.#endIds) ban(goingOn, id)
    // A grammar that is at its end does end.
    return this.#guide && goingOn.every((word) => word === 0) ? words : goingOn
  }

  /** True if the tokens so far end with all of a run but its last token. */
  #completes(run: readonly number[]): boolean {
    const start = this.#recent.length - (run.length - 1)
    return start >= 0 && this.#recent.every((id, i) => i < start || id === run[i - start])
  }
}

/** Tokens that are allowed and not banned; the bits beyond the vocabulary are 0. */
function baseMask(
  vocabSize: number,
  allowed: readonly number[] | undefined,
  banned: readonly number[],
): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(maskWords(vocabSize)).fill(allowed ? 0 : 0xffffffff)
  for (const id of allowed ?? []) words[id >>> 5] |= 1 << (id & 31)
  for (const id of banned) ban(words, id)
  const past = vocabSize % 32
  if (past > 0) words[words.length - 1] &= 2 ** past - 1
  return words
}

function ban(words: Uint32Array, id: number): void {
  words[id >>> 5] &= ~(1 << (id & 31))
}

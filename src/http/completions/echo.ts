// A prompt as `echo` repeats it: its text, and its tokens placed in that text.

import { codePoints } from '../../code-points.ts'
import type { PromptLogprob } from '../../engine/request.ts'
import type { PromptTokenizer } from '../context.ts'
import { type LegacyLogprobs, legacyLogprobs } from './logprobs.ts'
import type { EncodedPrompt } from './prompts.ts'

/** Made once for all choices of a prompt. */
export class Echo {
  readonly text: string
  /** Code points of the text. */
  readonly length: number
  readonly #pieces: readonly string[]
  #logprobs: LegacyLogprobs | undefined

  constructor(
    readonly prompt: EncodedPrompt,
    tokenizer: PromptTokenizer,
    skipSpecialTokens: boolean,
    /** Offsets of tokens are reported: they must be places in the text. */
    isScored: boolean,
  ) {
    this.#pieces =
      piecesOf(prompt, tokenizer) ?? tokenizer.pieces(prompt.tokens, { skipSpecialTokens })
    this.text = (isScored ? undefined : prompt.given) ?? this.#pieces.join('')
    this.length = codePoints(this.text)
  }

  /** The lists of the prompt's tokens; the arguments are the same for all choices. */
  logprobs(
    scores: readonly PromptLogprob[],
    count: number,
    name: (id: number) => string,
  ): LegacyLogprobs {
    this.#logprobs ??= legacyLogprobs(this.#scored(scores), count, name)
    return this.#logprobs
  }

  #scored(scores: readonly PromptLogprob[]) {
    let offset = 0
    return this.prompt.tokens.map((id, index) => {
      const token = { id, offset, logprob: scores[index]?.logprob, top: scores[index]?.top }
      offset += codePoints(this.#pieces[index])
      return token
    })
  }
}

/**
 * What each token adds to the text that the client gave; undefined if there is none, or if the tokens
 * do not give it back: what the tokenizer normalizes, a text of tokens has no more.
 */
function piecesOf(
  { tokens, given, added }: EncodedPrompt,
  tokenizer: PromptTokenizer,
): string[] | undefined {
  if (given === undefined) return undefined
  // A client may spell special tokens; those that the tokenizer added are not in its text.
  const spelled = tokenizer.pieces(tokens.slice(added), { skipSpecialTokens: false })
  const pieces = [...Array<string>(added).fill(''), ...spelled]
  return pieces.join('') === given ? pieces : undefined
}

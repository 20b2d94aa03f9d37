// The choices of a completion, whole or in parts: text, echo, log-probabilities, token ids.

import type { FinishReason, PromptLogprob } from '../../engine/request.ts'
import type { PromptTokenizer } from '../context.ts'
import { codePoints } from '../generation/code-points.ts'
import {
  type PromptAlternative,
  promptAlternatives,
  tokenNames,
} from '../generation/prompt-logprobs.ts'
import type { EncodedPrompt } from '../generation/requests.ts'
import { type Piece, stopReason } from '../generation/samples.ts'
import { type LegacyLogprobs, legacyLogprobs, scoredPrompt } from './logprobs.ts'
import type { CompletionBody } from './schema.ts'

export interface Choice {
  index: number
  text: string
  logprobs: LegacyLogprobs | null
  finish_reason: FinishReason | null
  /** The stop string or stop token that ended the text. */
  stop_reason: string | number | null
  /** With `return_token_ids`: those that were generated, and those before them. */
  token_ids?: number[]
  prompt_token_ids?: readonly number[]
  prompt_logprobs?: (Record<string, PromptAlternative> | null)[]
}

/** What the beginning of a choice repeats of its prompt. */
export interface Opening {
  /** Scores of the prompt's tokens, if they were asked for. */
  scores?: readonly PromptLogprob[]
}

/** Writes the choices of one request, as far as the client asked for their parts. */
export class ChoiceWriter {
  readonly #name: (id: number) => string

  constructor(
    readonly body: CompletionBody,
    /** One for each choice's prompt. */
    readonly prompts: readonly EncodedPrompt[],
    readonly tokenizer: PromptTokenizer,
  ) {
    this.#name = tokenNames(tokenizer, body.return_tokens_as_token_ids)
  }

  /** A choice, or with an `opening` its beginning, or a later part. */
  write(index: number, piece: Piece, opening?: Opening): Choice {
    const { body } = this
    const prompt = this.prompts[Math.floor(index / body.n)]
    const echoes = body.echo && opening !== undefined
    const choice: Choice = {
      index,
      text: echoes ? prompt.text + piece.text : piece.text,
      logprobs: this.#logprobs(prompt, piece, echoes ? opening : undefined),
      finish_reason: piece.finish?.reason ?? null,
      stop_reason: stopReason(piece, body.stop_token_ids),
    }
    if (body.return_token_ids) {
      choice.token_ids = piece.tokens.map(({ id }) => id)
      if (opening) choice.prompt_token_ids = prompt.tokens
    }
    if (body.prompt_logprobs !== undefined && opening?.scores) {
      const { scores } = opening
      choice.prompt_logprobs = promptAlternatives(scores, body.prompt_logprobs, this.tokenizer)
    }
    return choice
  }

  #logprobs(
    prompt: EncodedPrompt,
    { tokens }: Piece,
    opening: Opening | undefined,
  ): LegacyLogprobs | null {
    const { logprobs: count, echo, skip_special_tokens: skipSpecialTokens } = this.body
    if (count === undefined) return null
    const start = echo ? codePoints(prompt.text) : 0
    const generated = tokens.map((token) => ({ ...token, offset: start + token.offset }))
    if (!opening) return legacyLogprobs(generated, count, this.#name)
    const pieces = this.tokenizer.pieces(prompt.tokens, { skipSpecialTokens })
    const scored = scoredPrompt(prompt.tokens, pieces, opening.scores ?? [])
    return legacyLogprobs([...scored, ...generated], count, this.#name)
  }
}

// The choices of a completion, whole or in parts: text, echo, log-probabilities, token ids.

import type { FinishReason, PromptLogprob } from '../../engine/request.ts'
import type { PromptTokenizer } from '../context.ts'
import { tokenNames } from '../generation/logprobs.ts'
import { type PromptAlternative, promptAlternatives } from '../generation/prompt-logprobs.ts'
import { type Piece, stopReason } from '../generation/samples.ts'
import { Echo } from './echo.ts'
import { joinLogprobs, type LegacyLogprobs, legacyLogprobs } from './logprobs.ts'
import type { EncodedPrompt } from './prompts.ts'
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
  /** By prompt: all its choices repeat the same. */
  readonly #echoes = new Map<EncodedPrompt, Echo>()
  readonly #alternatives = new Map<EncodedPrompt, Choice['prompt_logprobs']>()

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
    const echo = body.echo ? this.#echoOf(prompt) : undefined
    const choice: Choice = {
      index,
      text: echo && opening ? echo.text + piece.text : piece.text,
      logprobs: this.#logprobs(piece, echo, opening),
      finish_reason: piece.finish?.reason ?? null,
      stop_reason: stopReason(piece, body.stop_token_ids),
    }
    if (body.return_token_ids) {
      choice.token_ids = piece.tokens.map(({ id }) => id)
      if (opening) choice.prompt_token_ids = prompt.tokens
    }
    if (body.prompt_logprobs !== undefined && opening?.scores) {
      choice.prompt_logprobs = this.#alternativesOf(prompt, opening.scores, body.prompt_logprobs)
    }
    return choice
  }

  #logprobs(
    { tokens }: Piece,
    echo: Echo | undefined,
    opening: Opening | undefined,
  ): LegacyLogprobs | null {
    const { logprobs: count } = this.body
    if (count === undefined) return null
    const generated = legacyLogprobs(tokens, count, this.#name, echo?.length)
    if (!echo || !opening) return generated
    return joinLogprobs(echo.logprobs(opening.scores ?? [], count, this.#name), generated)
  }

  #echoOf(prompt: EncodedPrompt): Echo {
    const known = this.#echoes.get(prompt)
    const { skip_special_tokens: skipSpecialTokens, logprobs } = this.body
    const isScored = logprobs !== undefined
    const echo = known ?? new Echo(prompt, this.tokenizer, skipSpecialTokens, isScored)
    this.#echoes.set(prompt, echo)
    return echo
  }

  #alternativesOf(prompt: EncodedPrompt, scores: readonly PromptLogprob[], count: number) {
    const known = this.#alternatives.get(prompt)
    const alternatives = known ?? promptAlternatives(scores, count, this.tokenizer)
    this.#alternatives.set(prompt, alternatives)
    return alternatives
  }
}

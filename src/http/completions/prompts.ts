// The `prompt` field: a string, a list of strings, token ids, or a list of token-id lists.

import { commonPrefix } from '../../common-prefix.ts'
import { ApiError } from '../../errors.ts'
import type { PromptTokenizer } from '../context.ts'
import { badField } from '../fields/errors.ts'
import type { PromptTokens } from '../generation/requests.ts'
import { type Truncation, truncate } from '../generation/truncation.ts'

/** One prompt as the client gave it. */
export type Prompt = string | number[]

/** Splits the field into its prompts and checks each; throws ApiError 400 naming the bad member. */
export function parsePrompts(field: unknown, vocabSize: number, maxPrompts: number): Prompt[] {
  if (field === undefined) throw bad('prompt', 'prompt is required')
  if (typeof field === 'string') return [checkText(field, 'prompt')]
  if (!Array.isArray(field)) {
    const allowed = 'a string, a list of strings, token ids or a list of token-id lists'
    throw badField('prompt', allowed, field)
  }
  if (field.length === 0) throw bad('prompt', 'prompt is an empty list')
  if (typeof field[0] === 'number') return [checkTokens(field, 'prompt', vocabSize)]
  if (field.length > maxPrompts) {
    throw bad('prompt', `prompt has ${field.length} members; at most ${maxPrompts} are allowed`)
  }
  const isText = typeof field[0] === 'string'
  return field.map((member: unknown, index) => {
    const param = `prompt.${index}`
    if (isText && typeof member === 'string') return checkText(member, param)
    if (!isText && Array.isArray(member)) return checkTokens(member, param, vocabSize)
    // The first member cannot differ from itself: if it is at fault, it is of no allowed kind.
    const allowed = isText ? 'a string' : 'a list of token ids'
    const expected = index === 0 ? 'a string, a token id or a list of token ids' : `${allowed} here`
    throw badField(param, expected, member)
  })
}

export interface EncodeOptions {
  addSpecialTokens: boolean
  truncation: Truncation
  breakpoints: readonly number[]
}

/** A prompt as the engine reads it. */
export interface EncodedPrompt extends PromptTokens {
  /** The client's own text, if it gave one and all of it is read. */
  given: string | undefined
  /** How many tokens the tokenizer put before that text. */
  added: number
}

/** The tokens of checked prompts; throws ApiError 400 for one that has none. */
export function encodePrompts(
  prompts: readonly Prompt[],
  tokenizer: PromptTokenizer,
  { addSpecialTokens, truncation, breakpoints }: EncodeOptions,
): EncodedPrompt[] {
  const around = addSpecialTokens ? tokenizer.encode('') : []
  return prompts.map((prompt, index) => {
    const param = prompts.length === 1 ? 'prompt' : `prompt.${index}`
    const isText = typeof prompt === 'string'
    const all = isText ? tokenizer.encode(prompt, { addSpecialTokens }) : prompt
    if (all.length === 0) throw bad(param, `${param} has no tokens`)
    const added = isText ? commonPrefix(around, all) : 0
    const tokens = truncate(all, truncation, added)
    const given = isText && tokens.length === all.length ? prompt : undefined
    return { tokens, given, added, breakpoints, param }
  })
}

function checkText(text: string, param: string): string {
  if (text === '') throw bad(param, `${param} is an empty string`)
  if (!text.isWellFormed())
    throw bad(param, `${param} has an unpaired surrogate (half a character)`)
  return text
}

function checkTokens(tokens: unknown[], param: string, vocabSize: number): number[] {
  if (tokens.length === 0) throw bad(param, `${param} is an empty list`)
  const index = tokens.findIndex(
    (id) => typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= vocabSize,
  )
  if (index < 0) return tokens as number[]
  throw badField(`${param}.${index}`, `a token id from 0 to ${vocabSize - 1}`, tokens[index])
}

function bad(param: string, message: string): ApiError {
  return new ApiError(400, message, { param })
}

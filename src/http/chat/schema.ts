// The fields of a chat request and what they must be, alone and beside each other.

import { z } from 'zod'
import { ApiError } from '../../errors.ts'
import {
  checkTogether,
  generationFields,
  MAX_TOP_LOGPROBS,
  type Parsed,
  parseFields,
  tokenCount,
} from '../fields/generation.ts'
import { text, truth, wholeNumberFrom } from '../fields/kinds.ts'
import { structureOf } from '../fields/structured.ts'
import { messagesField } from './messages.ts'
import { toolFields } from './tools.ts'

/** Tokens of an answer where neither the client nor the model sets a bound. */
const DEFAULT_MAX_TOKENS = 2048

/** Body of POST /v1/chat/completions, with nulls removed. */
export const chatBody = z.looseObject({
  ...generationFields,
  ...toolFields,
  messages: messagesField,
  // 0 reads the prompt and answers with no text.
  max_completion_tokens: tokenCount.optional(),
  max_tokens: tokenCount.optional(),
  logprobs: truth.default(false),
  top_logprobs: wholeNumberFrom(0, MAX_TOP_LOGPROBS).default(0),
  add_generation_prompt: truth.optional(),
  continue_final_message: truth.default(false),
  chat_template_kwargs: z.looseObject({}, 'an object').default({}),
  // Templates write the beginning-of-sequence token themselves.
  add_special_tokens: truth.default(false),
  prompt_cache_key: text(1024).optional(),
})

export type ChatBody = z.output<typeof chatBody>

/**
 * Checks all that can be checked without a model. Throws ApiError 400 with the field at fault as
 * `param`.
 */
export function parseChatBody(raw: Record<string, unknown>): Parsed<ChatBody> {
  const { body, ignored } = parseFields(chatBody, raw)
  checkTogether(body, askedTokens(body))
  if (body.top_logprobs > 0 && !body.logprobs) {
    throw new ApiError(400, 'top_logprobs is only allowed with logprobs: true', {
      param: 'top_logprobs',
    })
  }
  checkContinuation(body)
  checkFormat(body)
  return { body, ignored }
}

type TokenFields = Pick<ChatBody, 'max_completion_tokens' | 'max_tokens'>

/** Most tokens to generate, if the client says so; the newer name of the field wins. */
export function askedTokens(body: TokenFields): number | undefined {
  return body.max_completion_tokens ?? body.max_tokens
}

/** Most tokens to generate after a prompt. */
export function maxTokensOf(
  body: TokenFields,
  promptTokens: number,
  maxModelLen: number | undefined,
): number {
  const asked = askedTokens(body)
  if (asked !== undefined) return asked
  // Of a prompt that leaves no room the engine says so.
  return maxModelLen === undefined ? DEFAULT_MAX_TOKENS : Math.max(1, maxModelLen - promptTokens)
}

function checkContinuation(body: ChatBody): void {
  if (!body.continue_final_message) return
  if (body.add_generation_prompt) {
    const message =
      'add_generation_prompt begins a turn and continue_final_message goes on with one; send one of them'
    throw new ApiError(400, message, { param: 'add_generation_prompt' })
  }
  const param = 'continue_final_message'
  const last = body.messages.at(-1)
  if (last?.role !== 'assistant') {
    const message = `${param} needs a last message with role assistant, found ${last?.role}`
    throw new ApiError(400, message, { param })
  }
  if (last.tool_calls?.length) {
    const message = `${param} needs a last message without tool_calls: nothing of its turn comes after them`
    throw new ApiError(400, message, { param })
  }
}

/** An answer that must have a format cannot be a call, and one that must be a call has its own. */
function checkFormat(body: ChatBody): void {
  if (body.tools.length === 0 || body.tool_choice?.type === 'none') return
  const structure = structureOf(body)
  if (structure === undefined) return
  const [field] = structure.param.split('.')
  throw new ApiError(400, `${field} and tools exclude each other unless tool_choice is none`, {
    param: field,
  })
}

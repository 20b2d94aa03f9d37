// From messages to the tokens that the engine reads: through the template, with cache breakpoints.

import { ApiError } from '../../errors.ts'
import type { ChatTemplate, Conversation, PromptTokenizer, ServerContext } from '../context.ts'
import type { EncodedPrompt } from '../generation/requests.ts'
import { type Truncation, truncate } from '../generation/truncation.ts'
import { type ChatMessage, type Place, toTemplateMessage } from './messages.ts'

/** Most prompt positions that one request may have kept; of more the latest, as at OpenAI. */
const MAX_BREAKPOINTS = 4

/** What of a request makes its conversation. */
export interface ConversationFields {
  messages: readonly ChatMessage[]
  /** Left out or empty: none. */
  tools?: readonly unknown[]
  /** True unless the last message is continued. */
  add_generation_prompt?: boolean
  continue_final_message?: boolean
  chat_template_kwargs?: Record<string, unknown>
}

/** The template of the model; throws ApiError 400 that says how to give one. */
export function requireChatTemplate({ chatTemplate, model }: ServerContext): ChatTemplate {
  if (chatTemplate) return chatTemplate
  const message =
    `${model.ids[0]} has no chat template, so messages cannot be made into a prompt; ` +
    'start the server with --chat-template FILE, or use /v1/completions'
  throw new ApiError(400, message, { param: 'messages', code: 'chat_template_missing' })
}

/** Checked messages and options as templates see them. */
export function conversationOf(fields: ConversationFields): Conversation {
  const { messages, tools = [], continue_final_message: isContinued = false } = fields
  return {
    messages: messages.map(toTemplateMessage),
    tools: tools.length === 0 ? undefined : tools,
    addGenerationPrompt: fields.add_generation_prompt ?? !isContinued,
    continueFinalMessage: isContinued,
    variables: fields.chat_template_kwargs,
  }
}

export interface ConversationOptions {
  /** Add what the tokenizer puts around a text; templates mostly write it themselves. */
  addSpecialTokens: boolean
  truncation: Truncation
  /** Places whose states are to be kept; see `breakpointPlaces`. */
  breakpoints: readonly Place[]
}

/**
 * Renders and encodes a conversation. Throws ApiError 400 if the template refuses it, or if nothing
 * comes of it.
 */
export function encodeConversation(
  conversation: Conversation,
  template: ChatTemplate,
  tokenizer: PromptTokenizer,
  { addSpecialTokens, truncation, breakpoints }: ConversationOptions,
): EncodedPrompt {
  const text = template.render(conversation)
  if (!text.isWellFormed()) {
    const message = 'messages have an unpaired surrogate (half a character)'
    throw new ApiError(400, message, { param: 'messages' })
  }
  const encode = (given: string) => tokenizer.encode(given, { addSpecialTokens })
  const all = encode(text)
  if (all.length === 0) {
    throw new ApiError(400, 'the chat template makes no tokens of messages', { param: 'messages' })
  }
  const tokens = truncate(all, truncation)
  const dropped = truncation.side === 'left' ? all.length - tokens.length : 0
  const positions = breakpoints
    .slice(-MAX_BREAKPOINTS)
    .map(({ message, offset }) => template.renderUpTo(conversation, message, offset))
    // What the template does not show has no end.
    .filter((start) => start !== undefined)
    .map((start) => commonPrefix(encode(start), all) - dropped)
    .filter((position) => position >= 1 && position <= tokens.length)
  return { tokens, text, breakpoints: positions, param: 'messages' }
}

/**
 * How many ids two lists begin with. Of a text and its beginning these are the tokens that end within
 * the beginning: a token that crosses its end is none of the beginning's own.
 */
function commonPrefix(first: readonly number[], second: readonly number[]): number {
  const end = first.findIndex((id, index) => id !== second[index])
  return end < 0 ? first.length : end
}

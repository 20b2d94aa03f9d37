// From messages to the tokens that the engine reads: through the template, with cache breakpoints.

import { ApiError } from '../../errors.ts'
import type { ChatTemplate, Conversation, PromptTokenizer, ServerContext } from '../context.ts'
import type { PromptTokens } from '../generation/requests.ts'
import { type Truncation, truncate } from '../generation/truncation.ts'
import { breakpointPositions } from './breakpoints.ts'
import { type ChatMessage, type Place, toTemplateMessage } from './messages.ts'
import { type Tool, toTemplateTool } from './tools.ts'

/** What of a request makes its conversation. */
export interface ConversationFields {
  messages: readonly ChatMessage[]
  /** Left out or empty: none. */
  tools?: readonly Tool[]
  /** True unless the last message is continued. */
  add_generation_prompt?: boolean
  continue_final_message?: boolean
  chat_template_kwargs?: Record<string, unknown>
}

/** The template of the model; throws ApiError 400 for `param` that says how to give one. */
export function requireChatTemplate(
  { chatTemplate, model }: ServerContext,
  param = 'messages',
): ChatTemplate {
  if (chatTemplate) return chatTemplate
  const message =
    `${model.ids[0]} has no chat template, so messages cannot be made into a prompt; ` +
    'start the server with --chat-template FILE, or use /v1/completions'
  throw new ApiError(400, message, { param, code: 'chat_template_missing' })
}

/**
 * Checked messages and options as templates see them.
 * @param param the field that holds the messages, if it is not `messages`
 */
export function conversationOf(fields: ConversationFields, param?: string): Conversation {
  const { messages, tools = [], continue_final_message: isContinued = false } = fields
  return {
    messages: messages.map(toTemplateMessage),
    tools: tools.length === 0 ? undefined : tools.map(toTemplateTool),
    addGenerationPrompt: fields.add_generation_prompt ?? !isContinued,
    continueFinalMessage: isContinued,
    variables: fields.chat_template_kwargs,
    param,
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
 * comes of it. A prompt whose beginning is cut keeps its beginning-of-sequence token.
 */
export function encodeConversation(
  conversation: Conversation,
  template: ChatTemplate,
  tokenizer: PromptTokenizer,
  { addSpecialTokens, truncation, breakpoints }: ConversationOptions,
): PromptTokens {
  const { param = 'messages' } = conversation
  const text = template.render(conversation)
  if (!text.isWellFormed()) {
    throw new ApiError(400, `${param} has an unpaired surrogate (half a character)`, { param })
  }
  const all = tokenizer.encode(text, { addSpecialTokens })
  if (all.length === 0) {
    throw new ApiError(400, `the chat template makes no tokens of ${param}`, { param })
  }
  const fixed = all[0] === tokenizer.bosTokenId ? 1 : 0
  const tokens = truncate(all, truncation, fixed)
  const dropped = truncation.side === 'left' ? all.length - tokens.length : 0
  // What is left of a prompt whose beginning is gone says nothing of what stood there.
  const first = dropped > 0 ? fixed + 1 : 1
  const rendered = { conversation, template, text, tokens: all, addSpecialTokens }
  const positions = breakpointPositions(breakpoints, rendered, tokenizer)
    .map((position) => position - dropped)
    .filter((position) => position >= first && position <= tokens.length)
  return { tokens, breakpoints: positions, param }
}

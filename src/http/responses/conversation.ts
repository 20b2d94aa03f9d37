// The prompt of a response: what earlier responses said, the new input, and where states are kept.

import { commonPrefix } from '../../common-prefix.ts'
import { ApiError } from '../../errors.ts'
import { breakpointPlaces, type ChatMessage } from '../chat/messages.ts'
import { conversationOf, encodeConversation, requireChatTemplate } from '../chat/prompt.ts'
import { checkTemplateKnowsTools, forcedCalls, type ToolUse, toolUse } from '../chat/tools.ts'
import type { ServerContext, ToolCallStyle } from '../context.ts'
import type { NamedSpec } from '../fields/structured.ts'
import type { PromptTokens } from '../generation/requests.ts'
import { fit } from './fit.ts'
import { type Item, toItems } from './items.ts'
import type { ResponseObject } from './response.ts'
import { formatOf, type ResponsesBody } from './schema.ts'
import type { StoredResponse } from './store.ts'
import { toChatTools } from './tools.ts'
import { toMessages } from './turns.ts'

/** A response that later ones may continue. */
export type Stored = StoredResponse<ResponseObject, Item, ChatMessage>

/** What a response goes on from. */
export interface ResponseContext {
  /** New items, with ids. */
  input: Item[]
  /** Everything said so far but instructions, which hold for one response only. */
  messages: ChatMessage[]
  /** With the ends of prompts among its breakpoints. */
  prompt: PromptTokens & { ends: readonly number[] }
  use: ToolUse | undefined
  style: ToolCallStyle
  /** The format of the answer, if it has one. */
  structure: NamedSpec | undefined
}

/**
 * Makes the prompt of a response. A stored one keeps the state at the end of its prompt, to the
 * token, so that the next one computes only what came after that.
 * Throws ApiError 400 for bad input, 404 for an unknown `previous_response_id`.
 */
export function contextOf(body: ResponsesBody, server: ServerContext): ResponseContext {
  const template = requireChatTemplate(server, 'input')
  const previous = findPrevious(body, server)
  const use = toolUse(toChatTools(body), 'name')
  checkTemplateKnowsTools(use, template)
  const format = formatOf(body)
  if (format && use && use.mode !== 'none') {
    const message = 'a format and tools exclude each other unless tool_choice is none'
    throw new ApiError(400, message, { param: format.param })
  }
  const input = toItems(body.input)
  const messages = [...(previous?.messages ?? []), ...toMessages(input)]
  if (messages.length === 0) {
    throw new ApiError(400, 'input has no messages; send at least 1', { param: 'input' })
  }
  const encode = (turns: readonly ChatMessage[], keepsBreakpoints: boolean) => {
    const shown = [...instructionsOf(body), ...turns]
    const conversation = conversationOf({ messages: shown, tools: use?.tools }, 'input')
    return encodeConversation(conversation, template, server.tokenizer, {
      addSpecialTokens: false,
      truncation: { length: undefined, side: 'left' },
      breakpoints: keepsBreakpoints ? breakpointPlaces(shown) : [],
    })
  }
  const { maxModelLen } = server.model
  const encoded =
    body.truncation === 'auto' && maxModelLen !== undefined
      ? fit(messages, encode, { maxModelLen, maxTokens: body.max_output_tokens })
      : encode(messages, true)
  const ends = keptEnds(body, encoded.tokens, previous)
  const breakpoints = [...encoded.breakpoints, ...ends]
  return {
    input,
    messages,
    prompt: { ...encoded, breakpoints, ends },
    use,
    style: template.toolCallStyle,
    structure: forcedCalls(use) ?? format,
  }
}

/**
 * Where states are kept: at the end of the new prompt if the response is stored, and at the ends of
 * those before it in any case, because a state is used again only where the prompt was cut at the
 * same places before it.
 */
export function keptEnds(
  { store }: Pick<ResponsesBody, 'store'>,
  tokens: readonly number[],
  previous: Pick<Stored, 'prompt' | 'promptEnds'> | undefined,
): number[] {
  const common = previous ? commonPrefix(previous.prompt, tokens) : 0
  const ends = previous?.promptEnds.filter((end) => end <= common) ?? []
  return store ? [...ends, tokens.length] : ends
}

function findPrevious(
  { previous_response_id: id }: ResponsesBody,
  { responses }: ServerContext,
): Stored | undefined {
  if (id === undefined) return undefined
  const previous = responses.get(id)
  if (previous) return previous
  throw new ApiError(404, `there is no response ${JSON.stringify(id.slice(0, 100))} to continue`, {
    param: 'previous_response_id',
    code: 'previous_response_not_found',
  })
}

function instructionsOf({ instructions }: ResponsesBody): ChatMessage[] {
  if (instructions === undefined) return []
  return [{ role: 'system', content: [{ type: 'text', text: instructions }] }]
}

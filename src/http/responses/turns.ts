// Items as turns of a conversation. What a response leaves behind and what a client sends back of it
// go the same way, so that both make the same prompt.

import type { ChatMessage } from '../chat/messages.ts'
import type { CallItem, Item, TextPart } from './items.ts'
import type { OutputItem } from './response.ts'

type AssistantTurn = Extract<ChatMessage, { role: 'assistant' }>

/** The turns that items stand for. What the assistant says and the calls beside it are one turn. */
export function toMessages(items: readonly (Item | OutputItem)[]): ChatMessage[] {
  const messages: ChatMessage[] = []
  for (const item of items) {
    switch (item.type) {
      case 'message':
        addMessage(messages, item.role, item.content)
        break
      case 'function_call':
        addCall(messages, item)
        break
      case 'function_call_output':
        messages.push({ role: 'tool', tool_call_id: item.call_id, content: partsOf(item.output) })
        break
    }
  }
  return messages
}

function addMessage(
  messages: ChatMessage[],
  role: 'system' | 'developer' | 'user' | 'assistant',
  content: readonly TextPart[],
): void {
  if (role !== 'assistant') {
    messages.push({ role, content: partsOf(content) })
    return
  }
  // The parts of an answer are one text.
  const text = content.map((part) => part.text).join('')
  const begun = callingTurn(messages)
  if (begun) begun.content = [...(begun.content ?? []), { type: 'text', text }]
  else messages.push({ role, content: [{ type: 'text', text }] })
}

function addCall(messages: ChatMessage[], { call_id: id, name, arguments: args }: CallItem): void {
  const call = { id, type: 'function' as const, function: { name, arguments: args } }
  const last = messages.at(-1)
  if (last?.role === 'assistant') last.tool_calls = [...(last.tool_calls ?? []), call]
  else messages.push({ role: 'assistant', tool_calls: [call] })
}

/** The last turn, if it is one whose calls have no results yet: text beside them belongs to it. */
function callingTurn(messages: readonly ChatMessage[]): AssistantTurn | undefined {
  const last = messages.at(-1)
  return last?.role === 'assistant' && last.tool_calls?.length ? last : undefined
}

function partsOf(content: string | readonly TextPart[]) {
  if (typeof content === 'string') return [{ type: 'text' as const, text: content }]
  return content.map(({ text, prompt_cache_breakpoint }) => ({
    ...{ type: 'text' as const, text },
    ...(prompt_cache_breakpoint && { prompt_cache_breakpoint }),
  }))
}

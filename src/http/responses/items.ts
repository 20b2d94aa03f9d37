// The items of `input`: messages, calls of functions and their results, as turns of a conversation.

import type { ChatMessage } from '../chat/messages.ts'
import { badField } from '../fields/errors.ts'

/** An item as it is kept and listed. */
export type Item = Record<string, unknown> & { id: string; type: string }

const MAX_ITEMS = 4096
const TEXT_PARTS = ['input_text', 'output_text', 'text', 'refusal']

type TextPart = { type: 'text'; text: string; prompt_cache_breakpoint?: { mode: 'explicit' } }

/** The input as items with ids. */
export function toItems(input: string | readonly unknown[] | undefined): Item[] {
  if (input === undefined) return []
  if (typeof input === 'string') {
    const content = [{ type: 'input_text', text: input }]
    return [{ id: newId('msg'), type: 'message', role: 'user', status: 'completed', content }]
  }
  if (input.length > MAX_ITEMS) throw badField('input', `at most ${MAX_ITEMS} items`, input)
  return input.map((given, index) => {
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      throw badField(`input.${index}`, 'an item, which is an object', given)
    }
    const item = given as Record<string, unknown>
    const type = typeof item.type === 'string' ? item.type : 'message'
    const prefix = type === 'function_call' ? 'fc' : type === 'message' ? 'msg' : 'item'
    const id = typeof item.id === 'string' && item.id !== '' ? item.id : newId(prefix)
    return { ...item, type, id }
  })
}

/**
 * The turns that items stand for; calls side by side are one turn of the assistant. Throws ApiError
 * 400 naming the item at fault.
 */
export function toMessages(items: readonly Item[]): ChatMessage[] {
  const messages: ChatMessage[] = []
  for (const [index, item] of items.entries()) {
    const path = `input.${index}`
    switch (item.type) {
      case 'message':
        messages.push(toMessage(item, path))
        break
      case 'function_call':
        addCall(messages, item, path)
        break
      case 'function_call_output':
        messages.push({
          role: 'tool',
          tool_call_id: stringOf(item, 'call_id', path),
          content: partsOf(item.output, `${path}.output`),
        })
        break
      // Models without reasoning have none to go on from.
      case 'reasoning':
        break
      default:
        throw badField(`${path}.type`, 'message, function_call or function_call_output', item.type)
    }
  }
  return messages
}

/** An id as OpenAI writes them, for example `msg_4f…`; not to be guessed. */
export function newId(prefix: string): string {
  return `${prefix}_${crypto.randomUUID().replaceAll('-', '')}`
}

function toMessage(item: Item, path: string): ChatMessage {
  const { role } = item
  const content = partsOf(item.content, `${path}.content`)
  switch (role) {
    case 'system':
    case 'developer':
    case 'user':
      return { role, content }
    case 'assistant':
      // The parts of an answer are one text.
      return { role, content: [{ type: 'text', text: content.map(({ text }) => text).join('') }] }
    default:
      throw badField(`${path}.role`, 'one of system, developer, user, assistant', role)
  }
}

function addCall(messages: ChatMessage[], item: Item, path: string): void {
  const call = {
    id: stringOf(item, 'call_id', path),
    type: 'function' as const,
    function: {
      name: stringOf(item, 'name', path),
      arguments: stringOf(item, 'arguments', path),
    },
  }
  const last = messages.at(-1)
  if (last?.role === 'assistant' && last.tool_calls) last.tool_calls.push(call)
  else messages.push({ role: 'assistant', tool_calls: [call] })
}

function stringOf(item: Item, key: string, path: string): string {
  const value = item[key]
  if (typeof value !== 'string') throw badField(`${path}.${key}`, 'a string', value)
  return value
}

/** The parts of a content, which is a string or a list of text parts. */
function partsOf(content: unknown, path: string): TextPart[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  if (!Array.isArray(content) || content.length === 0) {
    throw badField(path, 'a string or a list of text parts', content)
  }
  return content.map((part: unknown, index) => toPart(part, `${path}.${index}`))
}

function toPart(part: unknown, path: string): TextPart {
  const given = (part ?? {}) as Record<string, unknown>
  const { type, prompt_cache_breakpoint: breakpoint } = given
  if (typeof type !== 'string' || !TEXT_PARTS.includes(type)) {
    throw badField(`${path}.type`, 'input_text or output_text', type)
  }
  const text = type === 'refusal' ? given.refusal : given.text
  if (typeof text !== 'string') throw badField(`${path}.text`, 'a string', text)
  if (breakpoint == null) return { type: 'text', text }
  if ((breakpoint as Record<string, unknown>).mode !== 'explicit') {
    const expected = 'an object with mode explicit'
    throw badField(`${path}.prompt_cache_breakpoint`, expected, breakpoint)
  }
  return { type: 'text', text, prompt_cache_breakpoint: { mode: 'explicit' } }
}

// The items of `input`: messages, calls of functions and their results. What is kept of each is
// checked and known; further keys are left out.

import { badField } from '../fields/errors.ts'

/** A part of a message, or of the result of a call. */
export interface TextPart {
  type: 'input_text' | 'output_text'
  text: string
  /** What output always has. */
  annotations?: never[]
  logprobs?: unknown[]
  prompt_cache_breakpoint?: { mode: 'explicit' }
}

const STATUSES = ['in_progress', 'completed', 'incomplete'] as const

export type ItemStatus = (typeof STATUSES)[number]

interface InputMessage {
  id: string
  type: 'message'
  role: 'system' | 'developer' | 'user' | 'assistant'
  status: ItemStatus
  content: TextPart[]
}

/** A call of a function, as given or as generated. */
export interface CallItem {
  id: string
  type: 'function_call'
  status: ItemStatus
  call_id: string
  name: string
  arguments: string
}

interface CallOutput {
  id: string
  type: 'function_call_output'
  status: ItemStatus
  call_id: string
  output: string | TextPart[]
}

/** Models without reasoning have none to go on from: nothing of it is kept. */
interface Reasoning {
  id: string
  type: 'reasoning'
  summary: never[]
}

/** An item as it is kept and listed. */
export type Item = InputMessage | CallItem | CallOutput | Reasoning

/** Bounds on lists and names, so that no body keeps the server busy for long. */
const MAX_ITEMS = 4096
const MAX_PARTS = 1024
const MAX_NAME = 256

const TEXT_PARTS = ['input_text', 'output_text', 'text', 'refusal']
const ROLES = ['system', 'developer', 'user', 'assistant'] as const

/** The input as items with ids. Throws ApiError 400 naming what is at fault. */
export function toItems(input: string | readonly unknown[] | undefined): Item[] {
  if (input === undefined) return []
  if (typeof input === 'string') return toItems([{ role: 'user', content: textOf(input, 'input') }])
  if (input.length > MAX_ITEMS) throw badField('input', `at most ${MAX_ITEMS} items`, input)
  const ids = new Set<string>()
  return input.map((given, index) => {
    const path = `input.${index}`
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      throw badField(path, 'an item, which is an object', given)
    }
    const item = toItem(given as Given, path)
    if (ids.has(item.id)) throw badField(`${path}.id`, 'an id that no other item has', item.id)
    ids.add(item.id)
    return item
  })
}

/** An id as OpenAI writes them, for example `msg_4f…`; not to be guessed. */
export function newId(prefix: string): string {
  return `${prefix}_${crypto.randomUUID().replaceAll('-', '')}`
}

type Given = Record<string, unknown>

function toItem(given: Given, path: string): Item {
  switch (given.type ?? 'message') {
    case 'message':
      return toMessage(given, path)
    case 'function_call':
      return {
        ...common(given, 'fc', path),
        type: 'function_call',
        call_id: nameOf(given, 'call_id', path),
        name: nameOf(given, 'name', path),
        arguments: textOf(given.arguments, `${path}.arguments`),
      }
    case 'function_call_output': {
      const at = `${path}.output`
      const { output } = given
      return {
        ...common(given, 'fco', path),
        type: 'function_call_output',
        call_id: nameOf(given, 'call_id', path),
        output: typeof output === 'string' ? textOf(output, at) : partsOf(output, 'input_text', at),
      }
    }
    case 'reasoning':
      return { id: idOf(given, 'rs', path), type: 'reasoning', summary: [] }
    default:
      throw badField(`${path}.type`, 'message, function_call or function_call_output', given.type)
  }
}

function toMessage(given: Given, path: string): InputMessage {
  const role = ROLES.find((each) => each === given.role)
  if (role === undefined) throw badField(`${path}.role`, `one of ${ROLES.join(', ')}`, given.role)
  const type = role === 'assistant' ? 'output_text' : 'input_text'
  const content = partsOf(given.content, type, `${path}.content`)
  return { ...common(given, 'msg', path), type: 'message', role, content }
}

function common(given: Given, prefix: string, path: string): { id: string; status: ItemStatus } {
  const status = STATUSES.find((each) => each === given.status) ?? 'completed'
  return { id: idOf(given, prefix, path), status }
}

/** Clients leave ids out, or send them empty. */
function idOf(given: Given, prefix: string, path: string): string {
  return given.id == null || given.id === '' ? newId(prefix) : nameOf(given, 'id', path)
}

function nameOf(given: Given, key: string, path: string): string {
  const value = given[key]
  if (typeof value === 'string' && value !== '' && value.length <= MAX_NAME) return value
  throw badField(`${path}.${key}`, `a string of 1 to ${MAX_NAME} characters`, value)
}

function textOf(value: unknown, path: string): string {
  if (typeof value !== 'string') throw badField(path, 'a string', value)
  if (value.isWellFormed()) return value
  throw badField(path, 'a string without halves of surrogate pairs', value)
}

/** The parts of a content, which is a string or a list of text parts. */
function partsOf(content: unknown, type: TextPart['type'], path: string): TextPart[] {
  if (typeof content === 'string') return [textPart(type, textOf(content, path))]
  const expected = `a string or a list of 1 to ${MAX_PARTS} text parts`
  const isList = Array.isArray(content) && content.length > 0 && content.length <= MAX_PARTS
  if (!isList) throw badField(path, expected, content)
  return content.map((part: unknown, index) => toPart(part, type, `${path}.${index}`))
}

function toPart(part: unknown, type: TextPart['type'], path: string): TextPart {
  const given = (part ?? {}) as Given
  if (typeof given.type !== 'string' || !TEXT_PARTS.includes(given.type)) {
    throw badField(`${path}.type`, 'input_text or output_text', given.type)
  }
  const key = given.type === 'refusal' ? 'refusal' : 'text'
  const kept = textPart(type, textOf(given[key], `${path}.${key}`))
  const breakpoint = given.prompt_cache_breakpoint
  if (breakpoint == null) return kept
  if ((breakpoint as Given).mode === 'explicit') {
    return { ...kept, prompt_cache_breakpoint: { mode: 'explicit' } }
  }
  const expected = 'an object with mode explicit'
  throw badField(`${path}.prompt_cache_breakpoint`, expected, breakpoint)
}

function textPart(type: TextPart['type'], text: string): TextPart {
  return type === 'output_text' ? { type, text, annotations: [], logprobs: [] } : { type, text }
}

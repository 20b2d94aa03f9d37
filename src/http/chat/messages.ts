// The messages of a chat request: what each role may say, and what a template gets to see of it.

import { z } from 'zod'
import type { TemplateMessage } from '../context.ts'
import { text } from '../fields/kinds.ts'
import { parseObject } from './tool-calls.ts'

/** Bounds on lists, so that no body keeps the server checking for long. */
const MAX_MESSAGES = 4096
const MAX_PARTS = 1024
const MAX_CALLS = 128

const contents = `a string or a list of 1 to ${MAX_PARTS} parts`
const calls = `a list of at most ${MAX_CALLS} tool calls`

/** A text that UTF-8 has bytes for. */
export const wellFormed = z
  .string('a string')
  .refine((given) => given.isWellFormed(), 'a string without halves of surrogate pairs')

const breakpoint = z
  .looseObject(
    {
      mode: z.literal('explicit', 'explicit'),
      ttl: z.enum(['30m', '12h'], '30m or 12h').nullish(),
    },
    'an object with mode explicit',
  )
  .nullish()

const part = z.discriminatedUnion(
  'type',
  [
    z.looseObject({
      type: z.literal('text'),
      text: wellFormed,
      prompt_cache_breakpoint: breakpoint,
    }),
    z.looseObject({ type: z.literal('refusal'), refusal: wellFormed }),
  ],
  'a part with type text (or refusal); images, audio and files are not supported',
)

/** A string is a list of one part from here on. */
const content = z.preprocess(
  (given) => (typeof given === 'string' ? [{ type: 'text', text: given }] : given),
  z.array(part, contents).min(1, contents).max(MAX_PARTS, contents),
)

const toolCall = z.looseObject(
  {
    id: text(256),
    type: z.literal('function', 'function').nullish(),
    function: z.looseObject(
      {
        name: text(256),
        arguments: z.union([wellFormed, z.looseObject({})], 'the JSON text of an object'),
      },
      'an object with name and arguments',
    ),
  },
  'a tool call with id and function',
)

const name = text(256).nullish()

const assistant = z
  .looseObject({
    role: z.literal('assistant'),
    content: content.nullish(),
    name,
    refusal: wellFormed.nullish(),
    tool_calls: z.array(toolCall, calls).max(MAX_CALLS, calls).nullish(),
    function_call: z.null('nothing; send tool_calls in its place').optional(),
    audio: z.null('nothing: audio is not supported').optional(),
  })
  .refine((given) => given.content || given.refusal != null || given.tool_calls?.length, {
    path: ['content'],
    error: `${contents}, unless there are tool_calls`,
  })

const message = z.discriminatedUnion(
  'role',
  [
    z.looseObject({ role: z.literal('system'), content, name }),
    z.looseObject({ role: z.literal('developer'), content, name }),
    z.looseObject({ role: z.literal('user'), content, name }),
    assistant,
    z.looseObject({ role: z.literal('tool'), content, name, tool_call_id: text(256) }),
  ],
  'a message with role system, developer, user, assistant or tool (tool replaces function)',
)

const several = `a list of 1 to ${MAX_MESSAGES} messages`

/** The `messages` field. */
export const messagesField = z.array(message, several).min(1, several).max(MAX_MESSAGES, several)

export type ChatMessage = z.output<typeof message>

/** A place in the content of a message. */
export interface Place {
  message: number
  /** UTF-16 units of the content before it. */
  offset: number
}

/**
 * A message as templates know it. The content is one text: parts with nothing between, so that a
 * text may be cut in two for a breakpoint and the prompt stays the same. Arguments of calls are
 * objects (if they are valid), what is null is left out, and members that we do not know stay.
 */
export function toTemplateMessage(given: ChatMessage): TemplateMessage {
  const members = Object.entries(given).filter(([, value]) => value !== null)
  const { refusal, tool_calls: _, ...message } = Object.fromEntries(members)
  const parts = given.content?.map(partText) ?? [String(refusal ?? '')]
  const seen: TemplateMessage = { ...message, role: given.role, content: parts.join('') }
  if (given.role !== 'assistant' || !given.tool_calls?.length) return seen
  return { ...seen, tool_calls: given.tool_calls.map(toTemplateCall) }
}

/** Where the parts end that carry a `prompt_cache_breakpoint`, in the order of the conversation. */
export function breakpointPlaces(messages: readonly ChatMessage[]): Place[] {
  const places: Place[] = []
  for (const [message, { content }] of messages.entries()) {
    let offset = 0
    for (const part of content ?? []) {
      offset += partText(part).length
      if (part.type === 'text' && part.prompt_cache_breakpoint) places.push({ message, offset })
    }
  }
  return places
}

function partText(given: z.output<typeof part>): string {
  return given.type === 'text' ? given.text : given.refusal
}

/** Templates print arguments as JSON, which would quote the text of a string once more. */
function toTemplateCall(call: z.output<typeof toolCall>) {
  const { arguments: given } = call.function
  const parsed = typeof given === 'string' ? (parseObject(given) ?? given) : given
  return { ...call, type: 'function', function: { ...call.function, arguments: parsed } }
}

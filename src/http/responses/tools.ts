// The tools of /v1/responses, which are flat, as the chat API's, which are nested.

import { z } from 'zod'
import {
  allowedTools,
  functionMembers,
  functionReference,
  functionType,
  toolList,
} from '../chat/functions.ts'
import type { ToolFields } from '../chat/tools.ts'
import { truth } from '../fields/kinds.ts'

const tool = z.looseObject({ type: functionType, ...functionMembers }, 'a tool with type function')
const reference = z.looseObject({ type: functionType, ...functionReference })
const choices = 'none, auto, required, or an object with type function or allowed_tools'

/** The fields of a request about tools. */
export const responseToolFields = {
  tools: toolList(tool),
  tool_choice: z
    .union(
      [
        z.enum(['none', 'auto', 'required']),
        reference,
        z.looseObject({ type: z.literal('allowed_tools'), ...allowedTools(reference) }),
      ],
      choices,
    )
    .optional(),
  parallel_tool_calls: truth.default(true),
}

type ResponseToolFields = z.output<z.ZodObject<typeof responseToolFields>>

/** The same fields as the chat API has them. */
export function toChatTools(body: ResponseToolFields): ToolFields {
  return {
    tools: body.tools.map(({ type, ...rest }) => ({ type, function: rest })),
    tool_choice: toChatChoice(body.tool_choice),
    parallel_tool_calls: body.parallel_tool_calls,
  }
}

function toChatChoice(choice: ResponseToolFields['tool_choice']): ToolFields['tool_choice'] {
  if (choice === undefined) return undefined
  if (typeof choice === 'string') return { type: choice }
  if (choice.type === 'function') return { type: 'function', function: { name: choice.name } }
  const tools = choice.tools.map(({ type, name }) => ({ type, function: { name } }))
  return { type: 'allowed_tools', allowed_tools: { mode: choice.mode, tools } }
}

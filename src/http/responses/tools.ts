// The tools of /v1/responses, which are flat, as the chat API's, which are nested.

import { z } from 'zod'
import type { ToolFields } from '../chat/tools.ts'
import { text, truth } from '../fields/kinds.ts'

/** As at OpenAI. */
const MAX_TOOLS = 128

const several = `a list of at most ${MAX_TOOLS} tools`
const functionName = '1 to 64 letters, digits, dashes and underscores'
const functionType = 'function, which is the only type of tools here'

const tool = z.looseObject(
  {
    type: z.literal('function', functionType),
    name: z.string(functionName).regex(/^[\w-]{1,64}$/, functionName),
    description: z.string('a string').nullish(),
    parameters: z.looseObject({}, 'a JSON schema, which is an object').nullish(),
    strict: truth.nullish(),
  },
  'a tool with type function',
)

const reference = z.looseObject({ type: z.literal('function', functionType), name: text(64) })
const modes = 'auto or required'
const choices = 'none, auto, required, or an object with type function or allowed_tools'

/** The fields of a request about tools. */
export const responseToolFields = {
  tools: z.array(tool, several).max(MAX_TOOLS, several).default([]),
  tool_choice: z
    .union(
      [
        z.enum(['none', 'auto', 'required']),
        reference,
        z.looseObject({
          type: z.literal('allowed_tools'),
          mode: z.enum(['auto', 'required'], modes),
          tools: z.array(reference, several).min(1, several).max(MAX_TOOLS, several),
        }),
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

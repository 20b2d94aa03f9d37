// The tools of a chat request: which functions the model sees, which it may call, and whether it must.

import { z } from 'zod'
import { ApiError } from '../../errors.ts'
import type { ChatTemplate } from '../context.ts'
import { badField } from '../fields/errors.ts'
import { text, truth } from '../fields/kinds.ts'
import type { NamedSpec } from '../fields/structured.ts'

/** As at OpenAI. */
const MAX_TOOLS = 128
/** Most calls in one forced answer; without a bound a small model may never end its list. */
const MAX_FORCED_CALLS = 16

const several = `a list of at most ${MAX_TOOLS} tools`
const functionName = '1 to 64 letters, digits, dashes and underscores'

const tool = z.looseObject(
  {
    type: z.literal('function', 'function, which is the only type of tools here'),
    function: z.looseObject(
      {
        name: z.string(functionName).regex(/^[\w-]{1,64}$/, functionName),
        description: z.string('a string').nullish(),
        parameters: z.looseObject({}, 'a JSON schema, which is an object').nullish(),
        strict: truth.nullish(),
      },
      'an object with the name of a function',
    ),
  },
  'a tool with type function',
)

const reference = z.looseObject(
  {
    type: z.literal('function', 'function'),
    function: z.looseObject({ name: text(64) }, 'an object with the name of a function'),
  },
  'an object with type function',
)

const choices =
  'none, auto, required, an object with type function and the name of one, or one with type allowed_tools'

/** A word is an object with that type from here on. */
const toolChoice = z.preprocess(
  (given) => (typeof given === 'string' ? { type: given } : given),
  z.discriminatedUnion(
    'type',
    [
      z.looseObject({ type: z.enum(['none', 'auto', 'required']) }),
      reference,
      z.looseObject({
        type: z.literal('allowed_tools'),
        allowed_tools: z.looseObject(
          {
            mode: z.enum(['auto', 'required'], 'auto or required'),
            tools: z.array(reference, several).min(1, several).max(MAX_TOOLS, several),
          },
          'an object with mode and tools',
        ),
      }),
    ],
    choices,
  ),
)

/** The fields of a request about tools. */
export const toolFields = {
  tools: z.array(tool, several).max(MAX_TOOLS, several).default([]),
  tool_choice: toolChoice.optional(),
  parallel_tool_calls: truth.default(true),
}

export type ToolFields = z.output<z.ZodObject<typeof toolFields>>
export type Tool = z.output<typeof tool>

/** What a request wants of its tools. */
export interface ToolUse {
  /** All that the model is shown, whatever of it may be called. */
  tools: readonly Tool[]
  /** What may be called; none: the answer is text, even if it looks like a call. */
  callable: readonly Tool[]
  /** `named` and `required`: the answer is nothing but calls. */
  mode: 'none' | 'auto' | 'required' | 'named'
  /** Whether one answer may hold several calls. */
  isParallel: boolean
}

/**
 * Checks the fields beside each other; undefined if there are no tools. An empty list is none.
 * Tools are shown with `tool_choice: none`, too, as at OpenAI: a conversation keeps its prefix.
 * Throws ApiError 400.
 */
export function toolUse(body: ToolFields): ToolUse | undefined {
  const { tools, tool_choice: choice = { type: 'auto' }, parallel_tool_calls: isParallel } = body
  checkNames(tools)
  if (tools.length === 0) {
    if (choice.type === 'none' || choice.type === 'auto') return undefined
    const message = 'tool_choice asks for a tool, but there are no tools; send some or leave it out'
    throw new ApiError(400, message, { param: 'tool_choice' })
  }
  switch (choice.type) {
    case 'none':
      return { tools, callable: [], mode: 'none', isParallel }
    case 'function': {
      const named = findTool(tools, choice.function.name, 'tool_choice')
      return { tools, callable: [named], mode: 'named', isParallel: false }
    }
    case 'allowed_tools': {
      const { mode, tools: allowed } = choice.allowed_tools
      const names = new Set(allowed.map(({ function: { name } }) => name))
      for (const name of names) findTool(tools, name, 'tool_choice')
      const callable = tools.filter(({ function: { name } }) => names.has(name))
      return { tools, callable, mode, isParallel }
    }
    default:
      return { tools, callable: tools, mode: choice.type, isParallel }
  }
}

/** Throws ApiError 400 if the template would leave the tools out. */
export function checkTemplateKnowsTools(use: ToolUse | undefined, template: ChatTemplate): void {
  if (use === undefined || template.knowsTools) return
  const message =
    "tools is not supported: this model's chat template does not show them to the model; leave it out"
  throw new ApiError(400, message, { param: 'tools', code: 'unsupported_parameter' })
}

/** The format of an answer that must be calls; undefined: the model writes what it likes. */
export function forcedCalls(use: ToolUse | undefined): NamedSpec | undefined {
  if (use === undefined || use.mode === 'none' || use.mode === 'auto') return undefined
  const calls = use.callable.map(({ function: { name } }) => ({
    type: 'object',
    properties: { name: { const: name }, arguments: { $ref: `#/$defs/${name}` } },
    required: ['name', 'arguments'],
    additionalProperties: false,
  }))
  const call = calls.length === 1 ? calls[0] : { anyOf: calls }
  const answer = use.isParallel
    ? { type: 'array', items: call, minItems: 1, maxItems: MAX_FORCED_CALLS }
    : call
  const parameters = use.callable.map((each) => [each.function.name, parametersOf(each)])
  const schema = { ...answer, $defs: Object.fromEntries(parameters) }
  return { spec: { kind: 'json_schema', schema }, param: 'tools' }
}

/** Left out they are none at all. References move with the schema that they are in. */
function parametersOf({ function: { name, parameters } }: Tool): unknown {
  if (!parameters) return { type: 'object', properties: {}, additionalProperties: false }
  return moveReferences(parameters, `#/$defs/${name}`)
}

function moveReferences(schema: unknown, root: string): unknown {
  if (Array.isArray(schema)) return schema.map((each) => moveReferences(each, root))
  if (typeof schema !== 'object' || schema === null) return schema
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => {
      const isReference = key === '$ref' && typeof value === 'string' && value.startsWith('#')
      return [key, isReference ? root + value.slice(1) : moveReferences(value, root)]
    }),
  )
}

function checkNames(tools: readonly Tool[]): void {
  const names = tools.map(({ function: { name } }) => name)
  const second = names.findIndex((name, index) => names.indexOf(name) < index)
  if (second < 0) return
  const expected = 'a name that no other tool has'
  throw badField(`tools.${second}.function.name`, expected, names[second])
}

function findTool(tools: readonly Tool[], name: string, param: string): Tool {
  const found = tools.find((tool) => tool.function.name === name)
  if (found === undefined) throw badField(param, 'the name of one of the tools', name)
  return found
}

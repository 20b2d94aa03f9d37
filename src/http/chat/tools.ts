// The tools of a chat request: which functions the model sees, which it may call, and whether it must.

import { z } from 'zod'
import { ApiError } from '../../errors.ts'
import type { ChatTemplate } from '../context.ts'
import { badField } from '../fields/errors.ts'
import { truth } from '../fields/kinds.ts'
import type { NamedSpec } from '../fields/structured.ts'
import {
  allowedTools,
  functionMembers,
  functionReference,
  functionType,
  toolList,
} from './functions.ts'

/** Most calls in one forced answer; without a bound a small model may never end its list. */
const MAX_FORCED_CALLS = 16

/** Keywords of JSON schemas that hold values, and those that hold schemas by name. */
const VALUES = new Set(['const', 'default', 'enum', 'examples'])
const SCHEMAS_BY_NAME = new Set([
  ...['$defs', 'definitions', 'dependentSchemas', 'patternProperties', 'properties'],
])

const nested = 'an object with the name of a function'

const tool = z.looseObject(
  { type: functionType, function: z.looseObject(functionMembers, nested) },
  'a tool with type function',
)

const reference = z.looseObject(
  { type: functionType, function: z.looseObject(functionReference, nested) },
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
        allowed_tools: z.looseObject(allowedTools(reference), 'an object with mode and tools'),
      }),
    ],
    choices,
  ),
)

/** The fields of a request about tools. */
export const toolFields = {
  tools: toolList(tool),
  tool_choice: toolChoice.optional(),
  parallel_tool_calls: truth.default(true),
}

export type ToolFields = z.output<z.ZodObject<typeof toolFields>>
export type Tool = z.output<typeof tool>

/** A tool as templates see it: what is null is left out, as in messages. */
export function toTemplateTool(given: Tool) {
  const members = Object.entries(given.function).filter(([, value]) => value !== null)
  return { ...given, function: Object.fromEntries(members) }
}

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
 * @param namePath where the API that the client speaks has the name of a tool
 */
export function toolUse(body: ToolFields, namePath = 'function.name'): ToolUse | undefined {
  const { tools, tool_choice: choice = { type: 'auto' }, parallel_tool_calls: isParallel } = body
  checkNames(tools, namePath)
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

/** @param isNamed the members have names of the client's, as in `properties`, and are no keywords */
function moveReferences(schema: unknown, root: string, isNamed = false): unknown {
  if (Array.isArray(schema)) return schema.map((each) => moveReferences(each, root))
  if (typeof schema !== 'object' || schema === null) return schema
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => {
      if (!isNamed && VALUES.has(key)) return [key, value]
      const isReference = !isNamed && key === '$ref' && typeof value === 'string'
      if (isReference && value.startsWith('#')) return [key, root + value.slice(1)]
      return [key, moveReferences(value, root, !isNamed && SCHEMAS_BY_NAME.has(key))]
    }),
  )
}

function checkNames(tools: readonly Tool[], path: string): void {
  const names = tools.map(({ function: { name } }) => name)
  const second = names.findIndex((name, index) => names.indexOf(name) < index)
  if (second < 0) return
  const expected = 'a name that no other tool has'
  throw badField(`tools.${second}.${path}`, expected, names[second])
}

function findTool(tools: readonly Tool[], name: string, param: string): Tool {
  const found = tools.find((tool) => tool.function.name === name)
  if (found === undefined) throw badField(param, 'the name of one of the tools', name)
  return found
}

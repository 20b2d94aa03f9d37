// What requests say of functions that a model may call, in whichever API. The APIs differ in how
// deep it is nested.

import { z } from 'zod'
import { jsonSchema, text, truth } from '../fields/kinds.ts'

/** As at OpenAI. */
const MAX_TOOLS = 128
const MAX_NAME = 64

const several = `a list of at most ${MAX_TOOLS} tools`
const functionName = `1 to ${MAX_NAME} letters, digits, dashes and underscores`

/** The `type` of tools and of references to them. */
export const functionType = z.literal('function', 'function, which is the only type of tools here')

/** A function that the model is shown. */
export const functionMembers = {
  name: z.string(functionName).regex(/^[\w-]{1,64}$/, functionName),
  description: z.string('a string').nullish(),
  parameters: jsonSchema.nullish(),
  strict: truth.nullish(),
}

/** The name of a function in a `tool_choice`. */
export const functionReference = { name: text(MAX_NAME) }

/** The `tools` of a request. */
export function toolList<Tool extends z.ZodType>(tool: Tool) {
  return z.array(tool, several).max(MAX_TOOLS, several).default([])
}

/** The members of a choice with type `allowed_tools`. */
export function allowedTools<Reference extends z.ZodType>(reference: Reference) {
  return {
    mode: z.enum(['auto', 'required'], 'auto or required'),
    tools: z.array(reference, several).min(1, several).max(MAX_TOOLS, several),
  }
}

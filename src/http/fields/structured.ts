// The fields that keep an answer within a format: OpenAI's `response_format`, vLLM's
// `structured_outputs`.

import { z } from 'zod'
import { ApiError } from '../../errors.ts'
import type { GrammarSpec } from '../../grammar/guide.ts'
import { badField } from './errors.ts'
import { jsonSchema, truth } from './kinds.ts'

/** More than any grammar takes. */
const MAX_CHOICES = 10_000

const choices = `a list of 1 to ${MAX_CHOICES} strings`
const formats = 'text, json_object or json_schema'

const namedSchema = z.looseObject(
  {
    name: z.string('a string').nullish(),
    description: z.string('a string').nullish(),
    schema: jsonSchema.nullish(),
    strict: truth.nullish(),
  },
  'an object with a schema',
)

export const structuredFields = {
  response_format: z
    .discriminatedUnion(
      'type',
      [
        z.looseObject({ type: z.literal('text') }),
        // A schema beside it is what llama-server takes.
        z.looseObject({ type: z.literal('json_object'), schema: jsonSchema.nullish() }),
        z.looseObject({ type: z.literal('json_schema'), json_schema: namedSchema }),
      ],
      {
        // The one is said of the discriminator, the other of the whole.
        error: ({ code }) =>
          (code as string) === 'invalid_type' ? `an object with type ${formats}` : formats,
      },
    )
    .optional(),
  structured_outputs: z
    .looseObject(
      {
        json: z
          .union([jsonSchema, z.string()], 'a JSON schema, as an object or a string')
          .nullish(),
        json_object: truth.nullish(),
        regex: z.string('a regular expression').nullish(),
        choice: z
          .array(z.string(choices), choices)
          .min(1, choices)
          .max(MAX_CHOICES, choices)
          .nullish(),
        grammar: z.string('a grammar in EBNF').nullish(),
        structural_tag: z.undefined('nothing: it is not supported').nullish(),
      },
      'an object',
    )
    .optional(),
}

export type StructuredFields = z.output<z.ZodObject<typeof structuredFields>>

/** A specification and the field that it came from. */
export interface NamedSpec {
  spec: GrammarSpec
  param: string
}

/** What the answer must be; undefined if it may be anything. Throws ApiError 400 for two wishes. */
export function structureOf(body: StructuredFields): NamedSpec | undefined {
  const specs = [...formatSpecs(body), ...outputSpecs(body)]
  if (specs.length > 1) {
    const names = specs.map(({ param }) => param).join(' and ')
    throw new ApiError(400, `${names} exclude each other; send one of them`, {
      param: specs[1].param,
    })
  }
  return specs[0]
}

function formatSpecs({ response_format: format }: StructuredFields): NamedSpec[] {
  if (format === undefined || format.type === 'text') return []
  if (format.type === 'json_object') {
    if (!format.schema) return [{ spec: { kind: 'json_object' }, param: 'response_format' }]
    const spec = { kind: 'json_schema' as const, schema: format.schema }
    return [{ spec, param: 'response_format.schema' }]
  }
  const param = 'response_format.json_schema.schema'
  if (!format.json_schema.schema) throw badField(param, 'a JSON schema', undefined)
  return [{ spec: { kind: 'json_schema', schema: format.json_schema.schema }, param }]
}

function outputSpecs({ structured_outputs: outputs }: StructuredFields): NamedSpec[] {
  if (outputs === undefined) return []
  const specs: NamedSpec[] = []
  const add = (key: keyof typeof outputs, spec: GrammarSpec) =>
    specs.push({ spec, param: `structured_outputs.${key}` })
  const { json, regex, choice, grammar } = outputs
  if (json != null) add('json', { kind: 'json_schema', schema: parseSchema(json) })
  if (outputs.json_object) add('json_object', { kind: 'json_object' })
  if (regex != null) add('regex', { kind: 'regex', pattern: regex })
  if (choice != null) add('choice', { kind: 'choice', choices: choice })
  if (grammar != null) add('grammar', { kind: 'grammar', ebnf: grammar })
  if (specs.length > 0) return specs
  throw badField('structured_outputs', 'json, json_object, regex, choice or grammar', outputs)
}

function parseSchema(given: string | object): unknown {
  if (typeof given !== 'string') return given
  const param = 'structured_outputs.json'
  try {
    const parsed: unknown = JSON.parse(given)
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed
  } catch {}
  throw badField(param, 'a JSON schema', given)
}

// JSON Schema to fast-check: values that a schema allows, with its bounds drawn often. It knows the
// keywords that zod writes; what a schema leaves open becomes any small JSON.

import fc from 'fast-check'

interface JsonSchema {
  type?: string
  const?: unknown
  enum?: unknown[]
  anyOf?: JsonSchema[]
  oneOf?: JsonSchema[]
  allOf?: JsonSchema[]
  not?: object
  properties?: Record<string, JsonSchema>
  required?: string[]
  additionalProperties?: boolean | JsonSchema
  items?: JsonSchema
  prefixItems?: JsonSchema[]
  minItems?: number
  maxItems?: number
  minLength?: number
  maxLength?: number
  pattern?: string
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  exclusiveMaximum?: number
}

/** Longest list and string that are drawn, whatever the schema allows. */
const MAX_ITEMS = 5
const MAX_LENGTH = 40

/** Any JSON of little size, strings of any Unicode among it. */
export const anyJson: fc.Arbitrary<unknown> = fc.jsonValue({ maxDepth: 2 })

/** Values of the schema, as far as they can be constructed. */
export function arbitraryOf(schema: JsonSchema): fc.Arbitrary<unknown> {
  if ('const' in schema) return fc.constant(schema.const)
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  const options = schema.anyOf ?? schema.oneOf
  // `not: {}` is how zod writes "nothing".
  if (options) return fc.oneof(...options.filter(({ not }) => !not).map(arbitraryOf))
  // Parts of a pipe; each narrows the one before it.
  if (schema.allOf) return arbitraryOf(schema.allOf[schema.allOf.length - 1])
  switch (schema.type) {
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'string':
      return strings(schema)
    case 'integer':
    case 'number':
      return numbers(schema)
    case 'array':
      return fc.array(schema.items ? arbitraryOf(schema.items) : anyJson, {
        minLength: schema.minItems ?? 0,
        maxLength: Math.max(
          schema.minItems ?? 0,
          Math.min(schema.maxItems ?? MAX_ITEMS, MAX_ITEMS),
        ),
      })
    case 'object':
      return objects(schema)
    default:
      return anyJson
  }
}

function strings({ pattern, minLength = 0, maxLength = MAX_LENGTH }: JsonSchema) {
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern))
  return fc.string({
    unit: 'grapheme',
    minLength,
    maxLength: Math.max(minLength, Math.min(maxLength, MAX_LENGTH)),
  })
}

function numbers(schema: JsonSchema): fc.Arbitrary<unknown> {
  const isWhole = schema.type === 'integer'
  const min = schema.minimum ?? schema.exclusiveMinimum ?? -1000
  const max = schema.maximum ?? schema.exclusiveMaximum ?? 1000
  const bounds = fc.constantFrom(min, max)
  const low = Math.max(min, -(2 ** 31))
  const high = Math.min(max, 2 ** 31 - 1)
  // Schemas of whole numbers that are checked in another way say only "number".
  const whole = fc.integer({ min: Math.ceil(low), max: Math.floor(high) })
  const small = fc.integer({ min: Math.ceil(low), max: Math.floor(Math.min(high, low + 10)) })
  const fractions = isWhole ? whole : fc.double({ min: low, max: high, noNaN: true })
  return fc.oneof({ weight: 4, arbitrary: small }, whole, fractions, bounds)
}

function objects(schema: JsonSchema): fc.Arbitrary<unknown> {
  const { properties, required = [], additionalProperties } = schema
  if (properties !== undefined && Object.keys(properties).length > 0) {
    const members = Object.entries(properties).filter(([, { not }]) => !not)
    const arbitraries = members.map(([key, value]) => [key, arbitraryOf(value)] as const)
    return fc.record(Object.fromEntries(arbitraries), { requiredKeys: required as never[] })
  }
  const value =
    typeof additionalProperties === 'object' ? arbitraryOf(additionalProperties) : anyJson
  return fc.dictionary(fc.string({ maxLength: 8 }), value, { maxKeys: MAX_ITEMS })
}

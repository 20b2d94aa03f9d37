// Whether a listed value (`enum`, `const`) fits the other keywords of its plain schema.

import type { SchemaObject } from './schema.ts'
import { fail } from './schema-check.ts'
import { typeOfValue } from './schema-flatten.ts'

/** Keywords about values that are not looked into. */
const UNCHECKED = {
  string: ['pattern', 'format'],
  number: ['multipleOf'],
  object: [
    ...['properties', 'patternProperties', 'additionalProperties', 'propertyNames', 'required'],
    ...['minProperties', 'maxProperties'],
  ],
  array: ['items', 'prefixItems', 'additionalItems', 'minItems', 'maxItems', 'uniqueItems'],
} as const

/** Throws Refusal for a value and a keyword that are not compared. */
export function satisfies(value: unknown, schema: SchemaObject, path: string): boolean {
  const type = typeOfValue(value)
  const types = schema.type === undefined ? [type] : [schema.type].flat()
  if (!types.includes(type) && !(type === 'integer' && types.includes('number'))) return false
  const kind = type === 'integer' ? 'number' : type
  const unchecked = Object.hasOwn(UNCHECKED, kind) ? UNCHECKED[kind as keyof typeof UNCHECKED] : []
  const met = unchecked.find((keyword) => schema[keyword] !== undefined)
  if (met) fail(path, `${met} beside enum or const is not supported`)
  if (typeof value === 'number') return isWithin(value, schema)
  if (typeof value !== 'string') return true
  const length = Array.from(value).length
  return length >= (schema.minLength ?? 0) && length <= (schema.maxLength ?? length)
}

function isWithin(value: number, schema: SchemaObject): boolean {
  const { minimum = value, maximum = value, exclusiveMinimum, exclusiveMaximum } = schema
  return (
    value >= minimum &&
    value <= maximum &&
    !(exclusiveMinimum !== undefined && value <= exclusiveMinimum) &&
    !(exclusiveMaximum !== undefined && value >= exclusiveMaximum)
  )
}

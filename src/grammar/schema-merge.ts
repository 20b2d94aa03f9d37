// Two schemas at once: one schema that allows what both allow. Takes schemas without `$ref`, `allOf`,
// `anyOf` and `oneOf` of their own; schemas inside of them may have any.

import { isObject, type Schema, type SchemaObject } from './schema.ts'
import { fail } from './schema-check.ts'

type Pick = (a: never, b: never) => unknown

const larger: Pick = Math.max
const smaller: Pick = Math.min

/** Keywords with a rule of their own; of others both schemas must say the same. */
const RULES: Record<string, Pick> = {
  minimum: larger,
  exclusiveMinimum: larger,
  minLength: larger,
  minItems: larger,
  minProperties: larger,
  maximum: smaller,
  exclusiveMaximum: smaller,
  maxLength: smaller,
  maxItems: smaller,
  maxProperties: smaller,
  uniqueItems: (a: boolean, b: boolean) => a || b,
  required: (a: string[], b: string[]) => [...new Set([...a, ...b])],
  propertyNames: (a: Schema, b: Schema) => both([a, b]),
  type: commonTypes,
  enum: (a: unknown[], b: unknown[]) => a.filter((value) => includes(b, value)),
}

const OBJECTS = ['properties', 'additionalProperties', 'patternProperties']
const ARRAYS = ['prefixItems', 'items', 'additionalItems']
const COMPARED = ['pattern', 'format', 'multipleOf', 'patternProperties']

/** What both schemas allow. Throws Refusal where that cannot be said in one schema. */
export function merged(left: SchemaObject, right: SchemaObject, path: string): SchemaObject {
  const a = plainEnum(left)
  const b = plainEnum(right)
  const out: SchemaObject = { ...a }
  for (const [keyword, value] of Object.entries(b)) {
    if (value === undefined || OBJECTS.includes(keyword) || ARRAYS.includes(keyword)) continue
    const own = a[keyword]
    if (own === undefined) out[keyword] = value
    else if (RULES[keyword]) out[keyword] = RULES[keyword](own as never, value as never)
    else if (COMPARED.includes(keyword) && !equal(own, value)) {
      fail(path, `two schemas with a different ${keyword} meet here, which is not supported`)
    }
  }
  return { ...out, ...mergedProperties(a, b, path), ...mergedItems(a, b) }
}

/** The schema that is all of some schemas, without repeating any. */
export function both(schemas: readonly Schema[]): Schema {
  const parts = schemas.flatMap((schema) =>
    isObject(schema) && Object.keys(schema).length === 1 && schema.allOf ? schema.allOf : [schema],
  )
  const kept = [...new Map(parts.map((part) => [JSON.stringify(part), part])).values()].filter(
    (part) => part !== true,
  )
  if (kept.length === 0) return true
  return kept.length === 1 ? kept[0] : { allOf: kept }
}

/** Whether two JSON values are the same; the order of members does not count. */
export function equal(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((each, index) => equal(each, b[index]))
  }
  if (isObject(a) && isObject(b)) {
    const keys = Object.keys(a)
    const same = (key: string) => Object.hasOwn(b, key) && equal(a[key], b[key])
    return keys.length === Object.keys(b).length && keys.every(same)
  }
  return a === b
}

export function includes(values: readonly unknown[], value: unknown): boolean {
  return values.some((each) => equal(each, value))
}

/** A schema whose `const` is an `enum` of one. */
export function plainEnum(schema: SchemaObject): SchemaObject {
  if (schema.const === undefined) return schema
  const { const: only, ...rest } = schema
  return { ...rest, enum: (schema.enum ?? [only]).filter((value) => equal(value, only)) }
}

function commonTypes(a: string | string[], b: string | string[]): string[] {
  const [left, right] = [[a].flat(), [b].flat()]
  return [
    ...left.filter(
      (type) => right.includes(type) || (type === 'integer' && right.includes('number')),
    ),
    ...right.filter(
      (type) => type === 'integer' && left.includes('number') && !left.includes(type),
    ),
  ]
}

function mergedProperties(a: SchemaObject, b: SchemaObject, path: string): SchemaObject {
  if (!OBJECTS.some((keyword) => a[keyword] !== undefined && b[keyword] !== undefined)) {
    const mixed = (one: SchemaObject, other: SchemaObject) =>
      (one.additionalProperties !== undefined || one.patternProperties !== undefined) &&
      OBJECTS.some((keyword) => other[keyword] !== undefined)
    if (!mixed(a, b) && !mixed(b, a)) {
      return defined({ ...only(a, OBJECTS), ...defined(only(b, OBJECTS)) })
    }
  }
  if (a.patternProperties !== undefined || b.patternProperties !== undefined) {
    fail(path, 'two schemas with patternProperties meet here, which is not supported')
  }
  const names = new Set([...Object.keys(a.properties ?? {}), ...Object.keys(b.properties ?? {})])
  const inOne = (schema: SchemaObject, name: string): Schema => {
    const own = schema.properties
    return own && Object.hasOwn(own, name) ? own[name] : (schema.additionalProperties ?? true)
  }
  const properties = Object.fromEntries(
    Array.from(names, (name) => [name, both([inOne(a, name), inOne(b, name)])]),
  )
  const extra = [a.additionalProperties, b.additionalProperties].filter(
    (each) => each !== undefined,
  )
  return { properties, ...(extra.length > 0 ? { additionalProperties: both(extra) } : {}) }
}

function mergedItems(a: SchemaObject, b: SchemaObject): SchemaObject {
  const [left, right] = [tuple(a), tuple(b)]
  const length = Math.max(left.prefix.length, right.prefix.length)
  const prefixItems = Array.from({ length }, (_, index) =>
    both([left.prefix[index] ?? left.rest, right.prefix[index] ?? right.rest]),
  )
  const empty = { items: undefined, prefixItems: undefined, additionalItems: undefined }
  const used = ARRAYS.some((keyword) => a[keyword] !== undefined || b[keyword] !== undefined)
  return used ? { ...empty, prefixItems, items: both([left.rest, right.rest]) } : {}
}

/** The items of an array: those with a place of their own, and the rest. */
export function tuple(schema: SchemaObject): { prefix: Schema[]; rest: Schema } {
  // Before 2020-12, `items` was the list and `additionalItems` the rest.
  if (Array.isArray(schema.items)) {
    return { prefix: schema.items, rest: schema.additionalItems ?? true }
  }
  return { prefix: schema.prefixItems ?? [], rest: schema.items ?? true }
}

function only(schema: SchemaObject, keywords: readonly string[]): SchemaObject {
  return Object.fromEntries(keywords.map((keyword) => [keyword, schema[keyword]]))
}

function defined(schema: SchemaObject): SchemaObject {
  return Object.fromEntries(Object.entries(schema).filter(([, value]) => value !== undefined))
}

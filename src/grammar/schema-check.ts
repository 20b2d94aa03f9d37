// Checks a JSON schema before it is compiled: keywords that change what is valid are enforced or
// refused, with their place; values of keywords have the types they must have. Only what the root
// leads to counts, so unused definitions may hold anything.

import { MAX_COUNT, MAX_DEPTH, MAX_OPTIONS, MAX_SCHEMAS } from './limits.ts'
import { refuse, shown } from './refusal.ts'
import { isObject, resolveReference, type Schema, type SchemaObject } from './schema.ts'

type Check = (value: unknown, at: Place) => void

/** Where a keyword or schema is; `schema` checks a schema found there. */
interface Place {
  path: string
  schema(value: unknown, path: string): void
}

export const TYPES = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const

const KEYWORDS: Record<string, Check> = {
  type: (value, { path }) => {
    const types = Array.isArray(value) ? value : [value]
    const unknown = types.find((type) => !TYPES.includes(type))
    if (types.length === 0) fail(path, 'the list of types is empty')
    if (unknown !== undefined) fail(path, `${shown(unknown)} is none of ${TYPES.join(', ')}`)
  },
  enum: (value, { path }) => {
    if (!Array.isArray(value)) fail(path, 'must be a list')
    if (value.length > MAX_OPTIONS)
      fail(path, `has ${value.length} values (at most ${MAX_OPTIONS})`)
  },
  const: () => {},
  minimum: number,
  maximum: number,
  exclusiveMinimum: number,
  exclusiveMaximum: number,
  multipleOf: (value, { path }) => {
    if (typeof value !== 'number' || !(value > 0)) fail(path, 'must be a number above 0')
  },
  minLength: count,
  maxLength: count,
  minItems: count,
  maxItems: count,
  minProperties: count,
  maxProperties: count,
  pattern: string,
  format: string,
  uniqueItems: boolean,
  required: (value, { path }) => {
    const names = Array.isArray(value) && value.every((name) => typeof name === 'string')
    if (!names) fail(path, 'must be a list of names')
  },
  properties: schemasByName,
  patternProperties: schemasByName,
  additionalProperties: schema,
  propertyNames: schema,
  items: (value, at) => (Array.isArray(value) ? schemas(value, at) : schema(value, at)),
  prefixItems: schemas,
  additionalItems: schema,
  anyOf: schemas,
  oneOf: schemas,
  allOf: schemas,
}

/** Keywords that change what is valid but are not enforced, unless they have a harmless value. */
const UNSUPPORTED: Record<string, (value: unknown, schema: SchemaObject) => boolean> = {
  not: () => false,
  if: (_, { then, else: otherwise }) => then === undefined && otherwise === undefined,
  dependentRequired: isEmpty,
  dependentSchemas: isEmpty,
  dependencies: isEmpty,
  contains: () => false,
  unevaluatedItems: (value) => value === true,
  unevaluatedProperties: (value) => value === true,
  $dynamicRef: () => false,
  $recursiveRef: () => false,
  // OpenAPI 3.0; without it null would never be an answer.
  nullable: (value) => value === false,
}

/** Throws Refusal unless every part of the schema can be enforced. */
export function checkSchema(root: unknown): asserts root is Schema {
  const seen = new Set<unknown>()
  const check = (value: unknown, path: string, depth: number): void => {
    if (typeof value === 'boolean') return
    if (!isObject(value)) fail(path, `a schema must be an object or a boolean, not ${shown(value)}`)
    if (seen.has(value)) return
    seen.add(value)
    if (seen.size > MAX_SCHEMAS) fail('#', `has more than ${MAX_SCHEMAS} schemas in it`)
    if (depth > MAX_DEPTH) fail(path, `is more than ${MAX_DEPTH} schemas deep`)
    if (value.$id !== undefined && depth > 0) fail(path, '$id is supported at the root only')
    const at = { schema: (inner: unknown, place: string) => check(inner, place, depth + 1) }
    for (const [keyword, content] of Object.entries(value)) {
      const place = `${path}/${pointerPart(keyword)}`
      if (content === undefined) continue
      if (Object.hasOwn(KEYWORDS, keyword)) KEYWORDS[keyword](content, { ...at, path: place })
      if (Object.hasOwn(UNSUPPORTED, keyword) && !UNSUPPORTED[keyword](content, value)) {
        fail(place, `the keyword ${keyword} is not supported`)
      }
    }
    if (value.$ref !== undefined) {
      check(resolveReference(root, value.$ref, path), String(value.$ref), depth + 1)
    }
  }
  check(root, '#', 0)
}

/** Throws a Refusal that names a place inside the schema. */
export function fail(path: string, message: string): never {
  refuse(`schema, ${path}: ${message}`)
}

export function pointerPart(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

function number(value: unknown, { path }: Place): void {
  if (typeof value !== 'number' || !Number.isFinite(value)) fail(path, 'must be a number')
}

function count(value: unknown, { path }: Place): void {
  if (!Number.isInteger(value) || (value as number) < 0) fail(path, 'must be an integer from 0')
  if ((value as number) > MAX_COUNT && !/\/max[A-Z]\w+$/.test(path)) {
    fail(path, `is above ${MAX_COUNT}`)
  }
}

function string(value: unknown, { path }: Place): void {
  if (typeof value !== 'string') fail(path, 'must be a string')
}

function boolean(value: unknown, { path }: Place): void {
  if (typeof value !== 'boolean') fail(path, 'must be true or false')
}

function schema(value: unknown, at: Place): void {
  at.schema(value, at.path)
}

function schemas(value: unknown, at: Place): void {
  if (!Array.isArray(value)) fail(at.path, 'must be a list of schemas')
  for (const [index, each] of value.entries()) at.schema(each, `${at.path}/${index}`)
}

function schemasByName(value: unknown, at: Place): void {
  if (!isObject(value)) fail(at.path, 'must be an object of schemas')
  for (const [name, each] of Object.entries(value)) {
    if (name.length > 256) fail(at.path, `has a name of ${name.length} characters (at most 256)`)
    at.schema(each, `${at.path}/${pointerPart(name)}`)
  }
}

function isEmpty(value: unknown): boolean {
  return isObject(value) && Object.keys(value).length === 0
}

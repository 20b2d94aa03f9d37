// What a JSON schema is here, and following references inside of one.

import { refuse, shown } from './refusal.ts'

/** A schema as JSON; `checkSchema` has looked at the types of its keywords. */
export type Schema = boolean | SchemaObject

export interface SchemaObject {
  type?: string | string[]
  enum?: unknown[]
  const?: unknown
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  exclusiveMaximum?: number
  multipleOf?: number
  minLength?: number
  maxLength?: number
  pattern?: string
  format?: string
  items?: Schema | Schema[]
  prefixItems?: Schema[]
  additionalItems?: Schema
  minItems?: number
  maxItems?: number
  uniqueItems?: boolean
  properties?: Record<string, Schema>
  patternProperties?: Record<string, Schema>
  additionalProperties?: Schema
  propertyNames?: Schema
  required?: string[]
  minProperties?: number
  maxProperties?: number
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
  $ref?: string
  [keyword: string]: unknown
}

export function isObject(value: unknown): value is SchemaObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The schema that `$ref` points to; only pointers into the same document exist. Throws Refusal. */
export function resolveReference(root: unknown, reference: unknown, path: string): unknown {
  const broken = (why: string) => refuse(`schema, ${path}/$ref: ${shown(reference)} ${why}`)
  if (typeof reference !== 'string') broken('is no string')
  const pointer = (reference as string).slice(1)
  if (!(reference as string).startsWith('#') || (pointer !== '' && !pointer.startsWith('/'))) {
    broken('is not supported; references must begin with #/')
  }
  let at: unknown = root
  for (const part of pointer.split('/').slice(1)) {
    const key = decoded(part).replaceAll('~1', '/').replaceAll('~0', '~')
    const inside = typeof at === 'object' && at !== null && Object.hasOwn(at, key)
    at = inside ? (at as SchemaObject)[key] : broken('points to nothing')
  }
  return at
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

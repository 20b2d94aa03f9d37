// Takes `$ref`, `allOf`, `anyOf` and `oneOf` out of a schema: what remains is a list of plain schemas,
// of which a value must fit one.

import { MAX_COMBINATIONS, MAX_DEPTH } from './limits.ts'
import { resolveReference, type Schema, type SchemaObject } from './schema.ts'
import { fail, TYPES } from './schema-check.ts'
import { equal, merged, plainEnum } from './schema-merge.ts'

/** Keywords by the only type that they are about. */
const TYPE_OF: Record<string, (typeof TYPES)[number]> = {
  ...{ properties: 'object', patternProperties: 'object', additionalProperties: 'object' },
  ...{ propertyNames: 'object', required: 'object', minProperties: 'object' },
  ...{ maxProperties: 'object', items: 'array', prefixItems: 'array', additionalItems: 'array' },
  ...{ minItems: 'array', maxItems: 'array', uniqueItems: 'array', minLength: 'string' },
  ...{ maxLength: 'string', pattern: 'string', format: 'string', minimum: 'number' },
  ...{ maximum: 'number', exclusiveMinimum: 'number', exclusiveMaximum: 'number' },
  multipleOf: 'number',
}

const COMBINING = ['$ref', 'allOf', 'anyOf', 'oneOf']

/** Whether a schema has to be flattened. */
export function isCombined(schema: SchemaObject): boolean {
  return COMBINING.some((keyword) => schema[keyword] !== undefined)
}

/** Whether a keyword says anything about which values are valid. */
export function isAssertion(keyword: string): boolean {
  const plain = ['type', 'enum', 'const']
  return COMBINING.includes(keyword) || plain.includes(keyword) || Object.hasOwn(TYPE_OF, keyword)
}

/** The plain schemas that a schema amounts to. Throws Refusal for too many and for endless ones. */
export function flattened(root: Schema, schema: Schema, path: string, depth = 0): SchemaObject[] {
  if (schema === true) return [{}]
  if (schema === false) return []
  if (depth > MAX_DEPTH) fail(path, 'refers to itself without end')
  const { $ref, allOf, anyOf, oneOf } = schema
  const own = Object.entries(schema).filter(
    ([keyword]) => isAssertion(keyword) && !COMBINING.includes(keyword),
  )
  const inner = (each: Schema) => flattened(root, each, path, depth + 1)
  let plain = [plainEnum(Object.fromEntries(own))]
  const and = (others: SchemaObject[]) => {
    if (plain.length * others.length > MAX_COMBINATIONS) {
      fail(path, `has more than ${MAX_COMBINATIONS} combinations of allOf, anyOf and oneOf`)
    }
    plain = plain.flatMap((one) => others.map((other) => merged(one, other, path)))
  }
  if ($ref !== undefined) and(inner(resolveReference(root, $ref, path) as Schema))
  for (const each of allOf ?? []) and(inner(each))
  if (anyOf) and(anyOf.flatMap(inner))
  if (oneOf) {
    checkDisjoint(root, oneOf, path)
    // The types that tell them apart must not get lost among the types of other schemas.
    and(oneOf.flatMap(inner).map((one) => ({ ...one, type: typesOf(one) })))
  }
  return plain
}

/**
 * The types of the values that a plain schema is given. Without `type` and `enum` these are the types
 * that its keywords are about: whoever writes `properties` means objects.
 */
export function typesOf(schema: SchemaObject): string[] {
  if (schema.type !== undefined) return [schema.type].flat()
  if (schema.enum) return [...new Set(schema.enum.map(typeOfValue))]
  const meant = Object.keys(schema).flatMap((keyword) =>
    schema[keyword] !== undefined && Object.hasOwn(TYPE_OF, keyword) ? [TYPE_OF[keyword]] : [],
  )
  return meant.length > 0 ? [...new Set(meant)] : TYPES.filter((type) => type !== 'integer')
}

export function typeOfValue(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (Number.isInteger(value)) return 'integer'
  return typeof value
}

/** `oneOf` is enforced where no value can fit two of its schemas. */
export function checkDisjoint(root: Schema, schemas: readonly Schema[], path: string): void {
  const flat = schemas.map((schema) => flattened(root, schema, path))
  for (const [index, left] of flat.entries()) {
    for (const right of flat.slice(index + 1)) {
      const apart = left.every((a) =>
        right.every((b) => isDisjoint(root, a, b, path, 0) && isDisjoint(root, b, a, path, 0)),
      )
      if (!apart) {
        fail(
          path,
          'the schemas of oneOf may overlap, which is not supported; give them different types, or ' +
            'a required property with a different const, or use anyOf',
        )
      }
    }
  }
}

/** Whether no value that is written for one schema fits the other. */
function isDisjoint(
  root: Schema,
  a: SchemaObject,
  b: SchemaObject,
  path: string,
  depth: number,
): boolean {
  if (a.enum && b.enum) return !a.enum.some((value) => b.enum!.some((other) => equal(value, other)))
  const fitting = b.type === undefined && !b.enum ? TYPES : typesOf(b)
  const shared = typesOf(a).filter((type) =>
    fitting.some((other) => kindOf(other) === kindOf(type)),
  )
  return shared.every((type) => {
    if (type !== 'object' || depth > 2) return false
    const common = (a.required ?? []).filter((name) => b.required?.includes(name))
    return common.some((name) => {
      const [left, right] = [a, b].map((each) => ownProperty(each, name))
      if (left === undefined || right === undefined) return false
      const rights = flattened(root, right, path)
      return flattened(root, left, path).every((one) =>
        rights.every((other) => isDisjoint(root, one, other, path, depth + 1)),
      )
    })
  })
}

/** What a schema itself says about a property. */
export function ownProperty(schema: SchemaObject, name: string): Schema | undefined {
  const own = schema.properties
  return own && Object.hasOwn(own, name) ? own[name] : undefined
}

function kindOf(type: string): string {
  return type === 'integer' ? 'number' : type
}

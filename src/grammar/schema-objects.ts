// Objects and arrays of a JSON schema as expressions. Declared properties come in their order; what
// is not declared comes last.

import {
  choice,
  EMPTY,
  type Expression,
  NEVER,
  optional,
  repeat,
  rule,
  sequence,
  text,
} from './expression.ts'
import { COLON, COMMA, JSON_STRING, jsonText, nameExcept, separated } from './json-text.ts'
import { isObject, type Schema, type SchemaObject } from './schema.ts'
import { fail, pointerPart } from './schema-check.ts'
import { ownProperty } from './schema-flatten.ts'
import { tuple } from './schema-merge.ts'

/** How the schemas of members and items become expressions. */
export interface Inner {
  value(schema: Schema, path: string): Expression
  /** The string that is a name, between quotes. */
  name(schema: SchemaObject, path: string): Expression
  /** A rule of its own for an expression that is used more than once. */
  share(expression: Expression): Expression
}

interface Member {
  pair: Expression
  isRequired: boolean
}

/** Objects that a plain schema allows. */
export function objectExpression(schema: SchemaObject, path: string, inner: Inner): Expression {
  const members = membersOf(schema, path, inner)
  const required = members.filter(({ isRequired }) => isRequired).length
  const { minProperties: min = 0, maxProperties: max = Number.POSITIVE_INFINITY } = schema
  const extra = extraPair(schema, members.length, path, inner)
  if (min > members.length + (extra ? 1 : 0) && min > required) {
    if (!extra) return NEVER
    // The names of undeclared properties may repeat, and then they count once.
    fail(path, `minProperties ${min} is above the number of declared properties by more than one`)
  }
  if (required > max) return NEVER
  const counts = min > required || max < members.length + (extra ? Number.POSITIVE_INFINITY : 0)
  const content = counts
    ? countedMembers(members, extra, min, max, inner)
    : plainMembers(members, extra, inner)
  return sequence(text('{'), content, text('}'))
}

function membersOf(schema: SchemaObject, path: string, inner: Inner): Member[] {
  const declared = Object.keys(schema.properties ?? {})
  const required = new Set(schema.required)
  return [...new Set([...declared, ...required])].map((name) => {
    const own = ownProperty(schema, name) ?? schema.additionalProperties ?? true
    const value = inner.value(own, `${path}/properties/${pointerPart(name)}`)
    const pair = sequence(jsonText(name), COLON, value)
    return { pair, isRequired: required.has(name) }
  })
}

/**
 * A member that is not declared, or undefined if there are none. A schema that lists properties and is
 * silent about others gets no others, unless it asks for more than it lists.
 */
function extraPair(
  schema: SchemaObject,
  declared: number,
  path: string,
  inner: Inner,
): Expression | undefined {
  const { properties = {}, additionalProperties, patternProperties = {}, propertyNames } = schema
  const patterns = Object.entries(patternProperties)
  const keyword = patterns.length > 0 ? 'patternProperties' : 'propertyNames'
  if (declared > 0 && (patterns.length > 0 || (propertyNames ?? true) !== true)) {
    fail(`${path}/${keyword}`, 'declared or required properties beside it are not supported')
  }
  if (patterns.length > 0) {
    const where = `${path}/patternProperties`
    if (patterns.length > 1) fail(where, 'more than one pattern is not supported')
    if (propertyNames !== undefined) fail(where, 'propertyNames beside it is not supported')
    const [[pattern, value]] = patterns
    return sequence(inner.name({ pattern }, where), COLON, inner.value(value, where))
  }
  const isSilent = Object.keys(properties).length > 0 && (schema.minProperties ?? 0) <= declared
  const value = additionalProperties ?? !isSilent
  if (value === false) return undefined
  const name = extraName(schema, path, inner)
  return sequence(name, COLON, inner.value(value, `${path}/additionalProperties`))
}

function extraName(schema: SchemaObject, path: string, inner: Inner): Expression {
  const { propertyNames, properties = {}, required = [] } = schema
  if (isObject(propertyNames)) return inner.name(propertyNames, `${path}/propertyNames`)
  if (propertyNames === false) return NEVER
  const declared = [...new Set([...Object.keys(properties), ...required])]
  return declared.length > 0 ? inner.share(nameExcept(declared)) : rule(JSON_STRING)
}

/** Members without bounds on their number: each may follow any earlier one. */
function plainMembers(
  members: readonly Member[],
  extra: Expression | undefined,
  inner: Inner,
): Expression {
  const more = extra ? repeat(sequence(COMMA, extra), 0) : EMPTY
  // What may follow after each member, from the last to the first.
  let after = more
  const firstRequired = members.findIndex(({ isRequired }) => isRequired)
  const heads: Expression[] = []
  for (const [index, { pair, isRequired }] of [...members.entries()].reverse()) {
    if (firstRequired < 0 || index <= firstRequired) {
      after = inner.share(after)
      heads.unshift(sequence(pair, after))
    }
    const next = sequence(COMMA, pair)
    after = sequence(isRequired ? next : optional(next), after)
  }
  if (firstRequired >= 0) return choice(...heads)
  return choice(...heads, extra ? optional(separated(extra, 1)) : EMPTY)
}

/** Members of which at least `min` and at most `max` must be there. */
function countedMembers(
  members: readonly Member[],
  extra: Expression | undefined,
  min: number,
  max: number,
  inner: Inner,
): Expression {
  const known = new Map<string, Expression>()
  // Without an upper bound it does not matter how far the lower one is exceeded.
  const enough = Number.isFinite(max) ? max : min
  const rest = (index: number, count: number): Expression => {
    const seen = Math.min(count, enough)
    const key = `${index} ${seen}`
    const made = known.get(key) ?? inner.share(make(index, seen))
    known.set(key, made)
    return made
  }
  const make = (index: number, seen: number): Expression => {
    const comma = seen > 0 ? COMMA : EMPTY
    if (index === members.length) {
      // All extras count as one towards `min`.
      const needs = Math.max(0, min - seen)
      if (!extra || max - seen < 1) return needs > 0 ? NEVER : EMPTY
      const some = sequence(comma, separated(extra, 1, max - seen))
      return needs > 1 ? NEVER : needs === 1 ? some : optional(some)
    }
    const { pair, isRequired } = members[index]
    const skipped = isRequired ? NEVER : rest(index + 1, seen)
    if (seen >= max) return skipped
    return choice(sequence(comma, pair, rest(index + 1, seen + 1)), skipped)
  }
  return rest(0, 0)
}

/** Arrays that a plain schema allows. */
export function arrayExpression(schema: SchemaObject, path: string, inner: Inner): Expression {
  const { prefix, rest } = tuple(schema)
  const { minItems: min = 0, uniqueItems = false } = schema
  const most = rest === false ? prefix.length : Number.POSITIVE_INFINITY
  const max = Math.min(schema.maxItems ?? Number.POSITIVE_INFINITY, most)
  if (uniqueItems && max > 1) {
    fail(`${path}/uniqueItems`, 'the keyword uniqueItems is not supported with more than one item')
  }
  const fixed = prefix
    .slice(0, Math.min(prefix.length, max))
    .map((item, index) => inner.value(item, `${path}/prefixItems/${index}`))
  const others = inner.value(rest, `${path}/items`)
  if (min > max) return NEVER
  if (fixed.length === 0) return sequence(text('['), items(others, min, max), text(']'))
  let after = repeat(sequence(COMMA, others), Math.max(0, min - fixed.length), max - fixed.length)
  for (let index = fixed.length - 1; index > 0; index--) {
    const next = sequence(COMMA, fixed[index], after)
    after = index < min ? next : optional(next)
  }
  const all = sequence(fixed[0], after)
  return sequence(text('['), min > 0 ? all : optional(all), text(']'))
}

function items(item: Expression, min: number, max: number): Expression {
  if (max === 0) return EMPTY
  const some = separated(item, Math.max(1, min), max)
  return min === 0 ? optional(some) : some
}

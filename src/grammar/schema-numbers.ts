// Numbers of a JSON schema as expressions.

import { choice, type Expression, rule, text } from './expression.ts'
import { JSON_INTEGER, JSON_NUMBER } from './json-text.ts'
import { MAX_OPTIONS } from './limits.ts'
import { type Bound, decimalRange, integerRange, integersBetween } from './number-range.ts'
import type { SchemaObject } from './schema.ts'
import { fail } from './schema-check.ts'

/** Numbers, or integers, that a plain schema allows. */
export function numberExpression(type: string, schema: SchemaObject, path: string): Expression {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema
  const low = tighter(minimum, exclusiveMinimum, (a, b) => a >= b)
  const high = tighter(maximum, exclusiveMaximum, (a, b) => a <= b)
  if (multipleOf !== undefined && multipleOf !== 1) return multiples(multipleOf, low, high, path)
  if (type === 'integer' || multipleOf === 1) {
    return low || high ? integerRange(low, high) : rule(JSON_INTEGER)
  }
  return low || high ? decimalRange(low, high) : rule(JSON_NUMBER)
}

/** The stricter one of two bounds on the same side. */
function tighter(
  inclusive: number | undefined,
  exclusive: number | undefined,
  isStricter: (a: number, b: number) => boolean,
): Bound | undefined {
  if (exclusive !== undefined && (inclusive === undefined || isStricter(exclusive, inclusive))) {
    return { value: exclusive, exclusive: true }
  }
  return inclusive === undefined ? undefined : { value: inclusive, exclusive: false }
}

function multiples(
  of: number,
  low: Bound | undefined,
  high: Bound | undefined,
  path: string,
): Expression {
  if (!Number.isSafeInteger(of)) fail(`${path}/multipleOf`, 'must be an integer to be supported')
  const { first, last } = integersBetween(low, high)
  const step = BigInt(of)
  const start = (first / step) * step
  const options: Expression[] = []
  for (let at = start < first ? start + step : start; at <= last; at += step) {
    options.push(text(`${at}`))
    if (options.length > MAX_OPTIONS) {
      fail(`${path}/multipleOf`, `needs bounds with at most ${MAX_OPTIONS} multiples between them`)
    }
  }
  return choice(...options)
}

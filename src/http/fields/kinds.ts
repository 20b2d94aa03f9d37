// The pieces that schemas of request bodies are made of. Every message completes "expected …".

import { z } from 'zod'

export const truth = z.boolean('true or false')

export function numberFrom(min: number, max: number) {
  const expected = `a number from ${min} to ${max}`
  return z.number(expected).min(min, expected).max(max, expected)
}

export function wholeNumberFrom(min: number, max: number, range = `from ${min} to ${max}`) {
  const expected = `a whole number ${range}`
  const number = z.number(expected).min(min, expected).max(max, expected)
  // JSON schemas, which show no checks in code, tell the type from this.
  return number.refine(Number.isInteger, expected).meta({ type: 'integer' })
}

export function text(maxLength: number) {
  const expected = `a string of 1 to ${maxLength} characters`
  return z.string(expected).min(1, expected).max(maxLength, expected)
}

/** A JSON schema; whether it can be enforced is for the grammar to say. */
export const jsonSchema = z.looseObject({}, 'a JSON schema, which is an object')

/**
 * An object whose members have names of the client's. They are counted before they are looked at: a
 * body may have a million.
 */
export function recordOf<Member extends z.ZodType>(
  maxEntries: number,
  member: Member,
  expected: string,
) {
  const isSmall = (value: unknown): value is Record<string, unknown> => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    let entries = 0
    // zod would drop a member of this name in silence.
    for (const key in value) if (++entries > maxEntries || key === '__proto__') return false
    return true
  }
  return z.custom<Record<string, unknown>>(isSmall, expected).pipe(z.record(z.string(), member))
}

// The one way in which a field is said to be wrong: where, what was expected, what was found.

import type { z } from 'zod'
import { ApiError } from '../../errors.ts'

/** How many faults one message lists. */
const MAX_FAULTS = 3

/** How much of a client's own text a message repeats. */
const MAX_SHOWN = 40

/** Status 400 for the field or member `param`; `expected` completes "expected …". */
export function badField(param: string, expected: string, found: unknown): ApiError {
  return new ApiError(400, fault(param, expected, found), { param })
}

/** Status 400 for what a schema found in a body; the first field at fault is the `param`. */
export function invalidFields(error: z.ZodError, given: Record<string, unknown>): ApiError {
  const faults = new Map<string, string>()
  for (const issue of error.issues) {
    const { path, value } = locate(given, issue.path)
    if (!faults.has(path)) faults.set(path, fault(path, issue.message, value))
  }
  const messages = [...faults.values()]
  const rest = messages.length - MAX_FAULTS
  const more = rest > 0 ? `; and ${rest} more` : ''
  const param = faults.keys().next().value
  return new ApiError(400, `${messages.slice(0, MAX_FAULTS).join('; ')}${more}`, { param })
}

/** The path of a member whose name the client chose, short whatever that is. */
export function memberPath(...path: readonly PropertyKey[]): string {
  return path.map((key) => String(key).slice(0, MAX_SHOWN)).join('.')
}

/** A value for an error message, short whatever the client sent. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object' && value !== null) return 'an object'
  if (typeof value !== 'string') return String(value)
  const shown = JSON.stringify(value.slice(0, MAX_SHOWN))
  return value.length <= MAX_SHOWN ? shown : `${shown}…`
}

function fault(path: string, expected: string, found: unknown): string {
  return `${path}: expected ${expected}, found ${show(found)}`
}

/** Follows a path as far as the body goes: a lone stop string has no `stop.0`. */
function locate(given: unknown, path: readonly PropertyKey[]): { path: string; value: unknown } {
  let value = given
  let depth = 0
  while (depth < path.length && typeof value === 'object' && value !== null) {
    value = (value as Record<PropertyKey, unknown>)[path[depth++]]
  }
  return { path: memberPath(...path.slice(0, depth)), value }
}

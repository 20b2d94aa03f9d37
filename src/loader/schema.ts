// zod for files of a checkpoint: the usual building blocks, and failures as one line that says
// what was found and what is allowed. The error text of a schema here is what it allows.

import { z } from 'zod'
import { CheckpointError } from '../errors.ts'

/** Longest piece of a bad value that an error repeats, in characters. */
const MAX_SHOWN = 60

/** A JSON object; unknown keys are dropped, since configurations carry many that do not matter. */
export function jsonObject<T extends z.ZodRawShape>(shape: T) {
  return z.object(shape, { error: 'a JSON object' })
}

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number) {
  const error = `a whole number from ${min} to ${max}`
  return z.int({ error }).min(min, { error }).max(max, { error })
}

/** A number above 0 and at most `max`. */
export function positiveNumber(max: number) {
  const error = `a number above 0 and at most ${max}`
  return z.number({ error }).positive({ error }).max(max, { error })
}

/** A number from `min` to `max`. */
export function numberWithin(min: number, max: number) {
  const error = `a number from ${min} to ${max}`
  return z.number({ error }).min(min, { error }).max(max, { error })
}

/** true or false. */
export function flag() {
  return z.boolean({ error: 'true or false' })
}

/** One of a few words. */
export function oneOf<const T extends readonly [string, ...string[]]>(words: T) {
  return z.enum(words, { error: words.map((word) => `"${word}"`).join(', ') })
}

/** Checks a value read from `file`; `at` is where in that file it stands. Throws CheckpointError. */
export function checkSchema<T extends z.ZodType>(
  schema: T,
  value: unknown,
  file: string,
  at: readonly PropertyKey[] = [],
): z.output<T> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]!
  const key = [...at, ...issue.path].map(String).join('.')
  const found = issue.path.reduce<unknown>(
    (inner, step) => (inner as Record<PropertyKey, unknown> | undefined)?.[step],
    value,
  )
  throw wrongValue(file, key, found, issue.message)
}

/** The error for a key of a JSON file whose value cannot be used. */
export function wrongValue(
  file: string,
  key: string,
  found: unknown,
  allowed: string,
): CheckpointError {
  const where = key === '' ? '' : `${key}: `
  return new CheckpointError(file, `${where}found ${show(found)}; allowed: ${allowed}`)
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  const text = JSON.stringify(value)
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
}

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
  return number.refine(Number.isInteger, expected)
}

export function text(maxLength: number) {
  const expected = `a string of 1 to ${maxLength} characters`
  return z.string(expected).min(1, expected).max(maxLength, expected)
}

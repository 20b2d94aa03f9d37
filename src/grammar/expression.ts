// What every kind of specification is turned into: a context-free grammar over characters.

import type { CodePoints } from './code-points.ts'

/** A set of texts. */
export type Expression =
  | { kind: 'text'; text: string }
  /** One character of the set. */
  | { kind: 'class'; set: CodePoints }
  | { kind: 'sequence'; parts: readonly Expression[] }
  /** Any of the options; without options no text at all. */
  | { kind: 'choice'; options: readonly Expression[] }
  /** `max` may be Infinity. */
  | { kind: 'repeat'; of: Expression; min: number; max: number }
  | { kind: 'rule'; name: string }

/** Rules by name; texts are those of `root`. */
export interface Grammar {
  root: Expression
  rules: ReadonlyMap<string, Expression>
}

/** The empty text. */
export const EMPTY: Expression = { kind: 'text', text: '' }

/** No text at all. */
export const NEVER: Expression = { kind: 'choice', options: [] }

export function text(value: string): Expression {
  return { kind: 'text', text: value }
}

/** One character of a set; no text at all if the set is empty. */
export function oneOf(set: CodePoints): Expression {
  return set.length === 0 ? NEVER : { kind: 'class', set }
}

export function sequence(...parts: readonly Expression[]): Expression {
  const kept = parts
    .flatMap((part) => (part.kind === 'sequence' ? part.parts : [part]))
    .filter((part) => part !== EMPTY)
  if (kept.length === 0) return EMPTY
  return kept.length === 1 ? kept[0] : { kind: 'sequence', parts: kept }
}

export function choice(...options: readonly Expression[]): Expression {
  const kept = options.flatMap((option) => (option.kind === 'choice' ? option.options : [option]))
  if (kept.length === 0) return NEVER
  return kept.length === 1 ? kept[0] : { kind: 'choice', options: kept }
}

/** `min` to `max` times; no text at all if there is no such number. */
export function repeat(of: Expression, min: number, max = Number.POSITIVE_INFINITY): Expression {
  if (min > max) return NEVER
  if (max === 0 || of === EMPTY) return EMPTY
  // Counts inside of counts would leave many ways to read one text.
  if (of.kind === 'repeat' && of.min <= 1) return repeat(of.of, of.min * min, of.max * max)
  return min === 1 && max === 1 ? of : { kind: 'repeat', of, min, max }
}

export function optional(of: Expression): Expression {
  return repeat(of, 0, 1)
}

export function rule(name: string): Expression {
  return { kind: 'rule', name }
}

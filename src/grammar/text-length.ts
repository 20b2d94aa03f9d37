// Bounds on the number of characters beside a pattern.

import { type Expression, NEVER, repeat, sequence } from './expression.ts'

interface Lengths {
  min: number
  max: number
}

/**
 * Texts of an expression without rules that have `min` to `max` characters. Undefined where that is
 * more than choosing the count of one repeated character, as in `^[a-z]+$`.
 */
export function withLength(
  expression: Expression,
  min: number,
  max: number,
): Expression | undefined {
  const lengths = lengthsOf(expression)
  if (lengths.min >= min && lengths.max <= max) return expression
  if (lengths.min > max || lengths.max < min) return NEVER
  const parts = expression.kind === 'sequence' ? expression.parts : [expression]
  const open = parts.filter((part) => varies(lengthsOf(part)))
  const [part] = open
  if (open.length !== 1 || part.kind !== 'repeat') return undefined
  const each = lengthsOf(part.of)
  if (each.min !== 1 || each.max !== 1) return undefined
  const rest = parts.reduce((sum, other) => sum + (other === part ? 0 : lengthsOf(other).min), 0)
  const fitted = repeat(part.of, Math.max(part.min, min - rest), Math.min(part.max, max - rest))
  return sequence(...parts.map((other) => (other === part ? fitted : other)))
}

function varies({ min, max }: Lengths): boolean {
  return min !== max
}

function lengthsOf(expression: Expression): Lengths {
  switch (expression.kind) {
    case 'text': {
      const length = Array.from(expression.text).length
      return { min: length, max: length }
    }
    case 'class':
      return { min: 1, max: 1 }
    case 'sequence': {
      const parts = expression.parts.map(lengthsOf)
      return { min: sum(parts.map(({ min }) => min)), max: sum(parts.map(({ max }) => max)) }
    }
    case 'choice': {
      const options = expression.options.map(lengthsOf)
      return {
        min: Math.min(...options.map(({ min }) => min)),
        max: Math.max(...options.map(({ max }) => max)),
      }
    }
    case 'repeat': {
      const { min, max } = lengthsOf(expression.of)
      return { min: min * expression.min, max: max === 0 ? 0 : max * expression.max }
    }
    case 'rule':
      return { min: 0, max: Number.POSITIVE_INFINITY }
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

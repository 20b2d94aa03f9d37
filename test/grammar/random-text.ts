// Random texts of a grammar, straight from its expressions.

import type { Expression, Grammar } from '../../src/grammar/expression.ts'

/** A random text; repetitions are mostly short. */
export function randomText({ root, rules }: Grammar, random: () => number): string {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]
  const text = (expression: Expression): string => {
    switch (expression.kind) {
      case 'text':
        return expression.text
      case 'class': {
        const [first, last] = pick(expression.set)
        return String.fromCodePoint(first + Math.floor(random() * (last - first + 1)))
      }
      case 'sequence':
        return expression.parts.map(text).join('')
      case 'choice':
        return text(pick(expression.options))
      case 'repeat': {
        let count = expression.min
        while (count < expression.max && random() < 0.6) count++
        return Array.from({ length: count }, () => text(expression.of)).join('')
      }
      case 'rule':
        return text(rules.get(expression.name)!)
    }
  }
  return text(root)
}

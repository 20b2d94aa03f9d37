// Whether a text is one of an expression, found the plain way: all positions where a match can end.

import { contains } from '../../src/grammar/code-points.ts'
import type { Expression } from '../../src/grammar/expression.ts'

/** Whether the whole text matches; for expressions that name no rules. */
export function matches(expression: Expression, text: string): boolean {
  const characters = Array.from(text)
  return endsOf(expression, characters, new Set([0])).has(characters.length)
}

function endsOf(expression: Expression, text: readonly string[], from: Set<number>): Set<number> {
  switch (expression.kind) {
    case 'text': {
      const wanted = Array.from(expression.text)
      const fits = (at: number) => wanted.every((each, index) => text[at + index] === each)
      return new Set([...from].filter(fits).map((at) => at + wanted.length))
    }
    case 'class': {
      const fits = (at: number) =>
        at < text.length && contains(expression.set, text[at].codePointAt(0)!)
      return new Set([...from].filter(fits).map((at) => at + 1))
    }
    case 'sequence':
      return expression.parts.reduce((ends, part) => endsOf(part, text, ends), from)
    case 'choice':
      return new Set(expression.options.flatMap((option) => [...endsOf(option, text, from)]))
    case 'repeat': {
      const all = new Set(expression.min === 0 ? from : [])
      let ends = from
      // Once the count is within bounds only new ends matter, so it stops with the text.
      for (let count = 1; count <= expression.max && ends.size > 0; count++) {
        ends = endsOf(expression.of, text, ends)
        if (count < expression.min) continue
        ends = new Set([...ends].filter((end) => !all.has(end)))
        for (const end of ends) all.add(end)
      }
      return all
    }
    case 'rule':
      throw new Error(`the matcher knows no rule ${expression.name}`)
  }
}

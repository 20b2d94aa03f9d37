// Removes what no finite text can use: dead options, and rules that never end. What is left has a
// way to an end from everywhere, so generation cannot run into a state without allowed tokens.

import { choice, type Expression, type Grammar, NEVER, repeat, sequence } from './expression.ts'

/**
 * An equal grammar in which every rule and option occurs in some text; rules that no text reaches are
 * dropped. Undefined if the grammar has no text. Every rule that is named must exist.
 */
export function prune(grammar: Grammar): Grammar | undefined {
  const productive = productiveRules(grammar.rules)
  const keep = (name: string) => productive.has(name)
  const root = pruned(grammar.root, keep)
  if (root === NEVER) return undefined
  const rules = new Map<string, Expression>()
  const open = [root]
  for (let next = open.pop(); next; next = open.pop()) {
    for (const name of namesIn(next)) {
      if (rules.has(name)) continue
      const body = pruned(grammar.rules.get(name)!, keep)
      rules.set(name, body)
      open.push(body)
    }
  }
  return { root, rules }
}

/** Names of the rules that an expression uses itself. */
export function namesIn(expression: Expression): string[] {
  switch (expression.kind) {
    case 'rule':
      return [expression.name]
    case 'sequence':
      return expression.parts.flatMap(namesIn)
    case 'choice':
      return expression.options.flatMap(namesIn)
    case 'repeat':
      return namesIn(expression.of)
    default:
      return []
  }
}

/** Rules with at least one finite text: the least fixed point, by a queue over who uses whom. */
function productiveRules(rules: ReadonlyMap<string, Expression>): Set<string> {
  const users = new Map<string, string[]>()
  for (const [name, body] of rules) {
    for (const used of namesIn(body)) {
      const list = users.get(used)
      if (list) list.push(name)
      else users.set(used, [name])
    }
  }
  const productive = new Set<string>()
  const queue = [...rules.keys()]
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (productive.has(name) || !hasText(rules.get(name)!, productive)) continue
    productive.add(name)
    queue.push(...(users.get(name) ?? []))
  }
  return productive
}

function hasText(expression: Expression, productive: ReadonlySet<string>): boolean {
  switch (expression.kind) {
    case 'rule':
      return productive.has(expression.name)
    case 'sequence':
      return expression.parts.every((part) => hasText(part, productive))
    case 'choice':
      return expression.options.some((option) => hasText(option, productive))
    case 'repeat':
      return expression.min === 0 || hasText(expression.of, productive)
    default:
      return true
  }
}

function pruned(expression: Expression, keep: (name: string) => boolean): Expression {
  switch (expression.kind) {
    case 'rule':
      return keep(expression.name) ? expression : NEVER
    case 'sequence': {
      const parts = expression.parts.map((part) => pruned(part, keep))
      return parts.includes(NEVER) ? NEVER : sequence(...parts)
    }
    case 'choice':
      return choice(...expression.options.map((option) => pruned(option, keep)))
    case 'repeat': {
      const of = pruned(expression.of, keep)
      if (of !== NEVER) return repeat(of, expression.min, expression.max)
      return expression.min === 0 ? repeat(of, 0, 0) : NEVER
    }
    default:
      return expression
  }
}

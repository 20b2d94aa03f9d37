// Multiple-choice items from a file of JSON lines.

import { z } from 'zod'
import { ConfigError } from '../errors.ts'

/** One question. */
export interface Item {
  /** What comes before each choice; may be empty. */
  query: string
  /** At least two texts, none empty. */
  choices: readonly string[]
  /** Position of the right choice. */
  gold: number
}

/** Keys by which the usual datasets call the parts of an item, the first being ours. */
const KEYS = {
  query: ['query', 'context', 'ctx', 'question'],
  choices: ['choices', 'endings', 'options'],
  gold: ['gold', 'label', 'answer', 'answer_idx'],
}

const MOST_CHOICES = 26
const MAX_SHOWN = 60

const choicesSchema = z.array(z.string().min(1)).min(2).max(MOST_CHOICES)

/**
 * Items of a file: one JSON object a line, blank lines aside.
 * @param limit the first items only
 * Throws ConfigError naming file and line, what was found and what is allowed.
 */
export function parseItems(text: string, file: string, limit?: number): Item[] {
  const items: Item[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (items.length === limit) break
    if (line.trim() !== '') items.push(parseItem(line, `${file}, line ${index + 1}`))
  }
  if (items.length === 0) throw new ConfigError(`--dataset ${file}: holds no items`)
  return items
}

function parseItem(line: string, where: string): Item {
  const json = parseJson(line)
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw wrong(where, line, 'a JSON object with query, choices and gold')
  }
  const pick = (names: readonly string[]) => names.find((name) => Object.hasOwn(json, name))
  const value = (name: string | undefined) =>
    name === undefined ? undefined : (json as Record<string, unknown>)[name]

  const queryKey = pick(KEYS.query)
  const query = value(queryKey)
  if (typeof query !== 'string') {
    throw wrong(`${where}: ${queryKey ?? 'query'}`, query, `a text (${KEYS.query.join(', ')})`)
  }
  const choicesKey = pick(KEYS.choices)
  const choices = choicesSchema.safeParse(value(choicesKey)).data
  if (choices === undefined) {
    const allowed = `2 to ${MOST_CHOICES} texts (${KEYS.choices.join(', ')})`
    throw wrong(`${where}: ${choicesKey ?? 'choices'}`, value(choicesKey), allowed)
  }
  const goldKey = pick(KEYS.gold)
  const gold = positionOf(value(goldKey))
  if (gold === undefined || gold >= choices.length) {
    const last = choices.length - 1
    const allowed = `0 to ${last} or A to ${letterOf(last)} (${KEYS.gold.join(', ')})`
    throw wrong(`${where}: ${goldKey ?? 'gold'}`, value(goldKey), allowed)
  }
  return { query, choices, gold }
}

/** A position as a number, as digits, or as a letter from A. */
function positionOf(gold: unknown): number | undefined {
  if (typeof gold === 'number') return Number.isInteger(gold) && gold >= 0 ? gold : undefined
  if (typeof gold !== 'string') return undefined
  if (/^\d{1,3}$/.test(gold)) return Number(gold)
  return /^[A-Z]$/.test(gold) ? gold.charCodeAt(0) - 'A'.charCodeAt(0) : undefined
}

const letterOf = (position: number) => String.fromCharCode('A'.charCodeAt(0) + position)

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

function wrong(where: string, found: unknown, allowed: string): ConfigError {
  const text = typeof found === 'string' ? found : (JSON.stringify(found) ?? 'nothing')
  const shown = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
  return new ConfigError(`--dataset ${where}: found ${shown}; allowed: ${allowed}`)
}

// Multiple-choice items from a file of JSON lines.

import { z } from 'zod'
import { ConfigError } from '../errors.ts'

/** One question. */
export interface Item {
  /** Of the file, from 1. */
  line: number
  /** What comes before each choice; may be empty. */
  query: string
  /** At least two texts, none empty. */
  choices: readonly string[]
  /** Position of the right choice. */
  gold: number
}

/** Keys by which the usual datasets call the parts of an item, the first being ours. */
const KEYS = {
  query: ['query', 'context', 'ctx', 'question', 'question_stem'],
  choices: ['choices', 'endings', 'options'],
  gold: ['gold', 'label', 'answer', 'answer_idx'],
}
/** Texts that usual datasets put before the question by a template, of which there are none here. */
const BESIDE_QUERY = ['article', 'passage', 'support']
/** The label of the right choice, where choices have labels. */
const ANSWER_KEY = 'answerKey'

const MOST_CHOICES = 26
const MAX_SHOWN = 60

const textsSchema = z.array(z.string().min(1)).min(2).max(MOST_CHOICES)
const labelledSchema = z
  .object({ text: textsSchema, label: z.array(z.string()) })
  .refine(({ text, label }) => text.length === label.length)
  .refine(({ label }) => new Set(label).size === label.length)

type Fields = Record<string, unknown>

/**
 * Items of a file: one JSON object a line, blank lines aside.
 * @param limit the first items only
 * Throws ConfigError naming file and line, what was found and what is allowed.
 */
export function parseItems(text: string, file: string, limit?: number): Item[] {
  if (text.trimStart().startsWith('[')) {
    throw new ConfigError(
      `--dataset ${file}: begins with [ as a JSON array does; ` +
        "one object a line is wanted, as jq -c '.[]' writes them",
    )
  }
  const items: Item[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (items.length === limit) break
    if (line.trim() === '') continue
    const where = `${file}, line ${index + 1}`
    items.push({ line: index + 1, ...parseItem(parseJson(line, where), where) })
  }
  if (items.length === 0) throw new ConfigError(`--dataset ${file}: holds no items`)
  return items
}

function parseItem(json: unknown, where: string): Omit<Item, 'line'> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw wrong(where, json, 'a JSON object with query, choices and gold')
  }
  const fields: Fields = { ...json }
  return { query: queryOf(fields, where), ...choicesOf(fields, where) }
}

function queryOf(fields: Fields, where: string): string {
  const texts = [...KEYS.query, ...BESIDE_QUERY].filter((key) => Object.hasOwn(fields, key))
  if (texts.length > 1) {
    throw new ConfigError(
      `--dataset ${where}: has ${texts.join(' and ')}; ` +
        'an item needs one query that is all of the text before a choice',
    )
  }
  const { key, value } = pick(fields, KEYS.query)
  if (typeof value === 'string') return value
  throw wrong(`${where}: ${key}`, value, `a text (${KEYS.query.join(', ')})`)
}

function choicesOf(fields: Fields, where: string): Pick<Item, 'choices' | 'gold'> {
  const { key, value } = pick(fields, KEYS.choices)
  const labelled = labelledSchema.safeParse(value).data
  if (labelled !== undefined) {
    const { text: choices, label } = labelled
    const answer = fields[ANSWER_KEY]
    const gold = typeof answer === 'string' ? label.indexOf(answer) : -1
    if (gold >= 0) return { choices, gold }
    throw wrong(`${where}: ${ANSWER_KEY}`, answer, `one of the labels ${label.join(', ')}`)
  }
  const choices = textsSchema.safeParse(value).data
  if (choices !== undefined) return { choices, gold: goldOf(fields, choices.length, where) }
  throw wrong(
    `${where}: ${key}`,
    value,
    `2 to ${MOST_CHOICES} texts (${KEYS.choices.join(', ')}), ` +
      'or {"text": […], "label": […]} of as many different labels',
  )
}

function goldOf(fields: Fields, choices: number, where: string): number {
  const { key, value } = pick(fields, KEYS.gold)
  const gold = positionOf(value)
  if (gold !== undefined && gold < choices) return gold
  const last = choices - 1
  const allowed = `0 to ${last} or A to ${letterOf(last)} (${KEYS.gold.join(', ')})`
  throw wrong(`${where}: ${key}`, value, allowed)
}

/** The first of the keys that is there, or how we call it. */
function pick(fields: Fields, keys: readonly string[]): { key: string; value: unknown } {
  const key = keys.find((name) => Object.hasOwn(fields, name)) ?? keys[0]
  return { key, value: fields[key] }
}

/** A position as a number, as digits, or as a letter from A. */
function positionOf(gold: unknown): number | undefined {
  if (typeof gold === 'number') return Number.isInteger(gold) && gold >= 0 ? gold : undefined
  if (typeof gold !== 'string') return undefined
  if (/^\d{1,3}$/.test(gold)) return Number(gold)
  return /^[A-Z]$/.test(gold) ? gold.charCodeAt(0) - 'A'.charCodeAt(0) : undefined
}

const letterOf = (position: number) => String.fromCharCode('A'.charCodeAt(0) + position)

function parseJson(line: string, where: string): unknown {
  try {
    return JSON.parse(line)
  } catch (error) {
    const reason = (error as SyntaxError).message.replace('JSON Parse error: ', '')
    throw new ConfigError(`--dataset ${where}: is not valid JSON (${reason})`)
  }
}

/** Names the value as JSON, which keeps it on one line and tells "1" from 1. */
function wrong(where: string, found: unknown, allowed: string): ConfigError {
  const text = JSON.stringify(found) ?? 'nothing'
  const shown = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
  return new ConfigError(`--dataset ${where}: found ${shown}; allowed: ${allowed}`)
}

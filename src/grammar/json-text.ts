// How JSON is spelled in answers: on one line, a space allowed after `,` and `:` only, so that a weak
// model cannot go on with blanks for ever; numbers short enough to be exact or at least finite.

import {
  ALL,
  type CodePoints,
  charactersOf,
  codePoints,
  countOf,
  difference,
  intersection,
} from './code-points.ts'
import {
  choice,
  type Expression,
  NEVER,
  oneOf,
  optional,
  repeat,
  rule,
  sequence,
  text,
} from './expression.ts'

/** Rules that every grammar of JSON may use. */
export const JSON_VALUE = 'json value'
export const JSON_OBJECT = 'json object'
export const JSON_ARRAY = 'json array'
export const JSON_STRING = 'json string'
const JSON_STRING_TAIL = 'json string tail'
const JSON_NAME_TAIL = 'json name tail'
export const JSON_NUMBER = 'json number'
export const JSON_INTEGER = 'json integer'

/** Longest string that gets a rule for each number of characters; see `boundedString`. */
const MAX_RULES = 128

const CONTROLS = codePoints([[0, 0x1f]])
/** Characters with a short escape, and its letter. */
const ESCAPES: Record<string, string> = {
  ...{ '"': '"', '\\': '\\', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't' },
}
/** Characters that stand for themselves in a string. */
const PLAIN = difference(difference(ALL, CONTROLS), charactersOf('"\\'))
const QUOTE = text('"')
const DIGIT = codePoints([[0x30, 0x39]])
const FIRST_DIGIT = codePoints([[0x31, 0x39]])
const HEX = codePoints([
  [0x30, 0x39],
  [0x41, 0x46],
  [0x61, 0x66],
])

const digits = (min: number, max: number) => repeat(oneOf(DIGIT), min, max)
const SIGN = optional(text('-'))
const SPACE = optional(text(' '))

export const COMMA = sequence(text(','), SPACE)
export const COLON = sequence(text(':'), SPACE)

/** Digits before and after the point that a number may have; all that JSON.stringify writes fits. */
export const MAX_INTEGER_DIGITS = 19
export const MAX_FRACTION_DIGITS = 17

/** An integer without sign. */
export const NATURAL = choice(
  text('0'),
  sequence(oneOf(FIRST_DIGIT), digits(0, MAX_INTEGER_DIGITS - 1)),
)
export const FRACTION = sequence(text('.'), digits(1, MAX_FRACTION_DIGITS))
// An exponent up to 299 keeps one digit and a fraction away from infinity.
const EXPONENT = sequence(
  oneOf(charactersOf('eE')),
  optional(oneOf(charactersOf('+-'))),
  choice(digits(1, 2), sequence(oneOf(charactersOf('12')), digits(2, 2))),
)

const hex = (count: number) => repeat(oneOf(HEX), count, count)

/**
 * The rest of a string, or of a name in one spelling, up to its closing quote. Right recursion with
 * the quote inside lets xgrammar know most of a mask beforehand (32,000 tokens: 0.1 ms for a mask
 * instead of 11 ms with a repeated group of escapes).
 */
const STRING_TAIL = choice(
  QUOTE,
  sequence(oneOf(PLAIN), rule(JSON_STRING_TAIL)),
  sequence(text('\\'), oneOf(charactersOf('"\\/bfnrt')), rule(JSON_STRING_TAIL)),
  // Not half of a surrogate pair.
  sequence(
    text('\\u'),
    choice(
      sequence(oneOf(difference(HEX, charactersOf('dD'))), hex(3)),
      sequence(oneOf(charactersOf('dD')), oneOf(codePoints([[0x30, 0x37]])), hex(2)),
    ),
    rule(JSON_STRING_TAIL),
  ),
)
const NAME_TAIL = choice(
  QUOTE,
  sequence(oneOf(PLAIN), rule(JSON_NAME_TAIL)),
  sequence(text('\\'), oneOf(charactersOf('"\\bfnrt')), rule(JSON_NAME_TAIL)),
)

/** The shared rules by name. */
export function jsonRules(): Map<string, Expression> {
  return new Map([
    [
      JSON_VALUE,
      choice(
        rule(JSON_OBJECT),
        rule(JSON_ARRAY),
        rule(JSON_STRING),
        rule(JSON_NUMBER),
        text('true'),
        text('false'),
        text('null'),
      ),
    ],
    [
      JSON_OBJECT,
      sequence(
        text('{'),
        optional(separated(sequence(rule(JSON_STRING), COLON, rule(JSON_VALUE)), 1)),
        text('}'),
      ),
    ],
    [JSON_ARRAY, sequence(text('['), optional(separated(rule(JSON_VALUE), 1)), text(']'))],
    [JSON_STRING, sequence(QUOTE, rule(JSON_STRING_TAIL))],
    [JSON_STRING_TAIL, STRING_TAIL],
    [JSON_NAME_TAIL, NAME_TAIL],
    [
      JSON_NUMBER,
      sequence(
        SIGN,
        choice(
          sequence(NATURAL, optional(FRACTION)),
          sequence(oneOf(FIRST_DIGIT), optional(FRACTION), EXPONENT),
        ),
      ),
    ],
    [JSON_INTEGER, sequence(SIGN, NATURAL)],
  ])
}

/** `min` (at least 1) to `max` items with commas between them. */
export function separated(
  item: Expression,
  min: number,
  max = Number.POSITIVE_INFINITY,
): Expression {
  return sequence(item, repeat(sequence(COMMA, item), min - 1, max - 1))
}

/** A string between quotes; the expression is what JSON writes between them. */
export function quoted(content: Expression): Expression {
  return sequence(QUOTE, content, QUOTE)
}

/**
 * A string of `min` to `max` characters. Its rules, one for each number of characters still to come,
 * are added to `rules` and shared by strings of all lengths; a longer string is made of characters
 * that need no escape, the only ones that xgrammar counts without a rule for each.
 */
export function boundedString(
  min: number,
  max: number,
  rules: Map<string, Expression>,
): Expression {
  const counted = max === Number.POSITIVE_INFINITY ? min : max
  if (min > max) return NEVER
  if (counted > MAX_RULES) return quoted(repeat(oneOf(PLAIN), min, max))
  return sequence(QUOTE, stringRest(min, max, rules))
}

/** The rest of a string of `min` to `max` characters, up to its closing quote. */
function stringRest(min: number, max: number, rules: Map<string, Expression>): Expression {
  if (max === 0) return QUOTE
  if (min === 0 && max === Number.POSITIVE_INFINITY) return rule(JSON_NAME_TAIL)
  const name = `json string of ${min} to ${max}`
  if (!rules.has(name)) {
    const next = stringRest(Math.max(0, min - 1), max - 1, rules)
    const more = sequence(stringCharacters(ALL), next)
    rules.set(name, min === 0 ? choice(QUOTE, more) : more)
  }
  return rule(name)
}

/** The JSON text of a value, without spaces. */
export function jsonText(value: unknown): Expression {
  return text(JSON.stringify(value).replace(/[\u2028\u2029]/g, escapedSeparator))
}

function escapedSeparator(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16)}`
}

/** What JSON writes in a string for each text of an expression; one spelling for each text. */
export function stringContent(expression: Expression): Expression {
  switch (expression.kind) {
    case 'text':
      return inString(expression.text)
    case 'class':
      return stringCharacters(expression.set)
    case 'sequence':
      return sequence(...expression.parts.map(stringContent))
    case 'choice':
      return choice(...expression.options.map(stringContent))
    case 'repeat':
      return repeat(stringContent(expression.of), expression.min, expression.max)
    case 'rule':
      return expression
  }
}

function stringCharacters(set: CodePoints): Expression {
  const named = intersection(set, charactersOf(Object.keys(ESCAPES).join('')))
  const controls = difference(intersection(set, CONTROLS), named)
  // Whoever lists a few control characters means them; a set of many, as `.`, does well without.
  const meant = countOf(controls) > 8 ? [] : characters(controls)
  const letters = characters(named).map((each) => ESCAPES[each])
  return choice(
    oneOf(intersection(set, PLAIN)),
    sequence(text('\\'), oneOf(charactersOf(letters.join('')))),
    ...meant.map(inString),
  )
}

function characters(set: CodePoints): string[] {
  return set.flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, index) => String.fromCodePoint(first + index)),
  )
}

/** Any name but some, each in one spelling, with its quotes. */
export function nameExcept(names: readonly string[]): Expression {
  return sequence(QUOTE, nameRest(names.map((each) => Array.from(each))))
}

/** The rest of a name, up to its closing quote, that is none of some rests. */
function nameRest(others: readonly string[][]): Expression {
  const nexts = new Map<string, string[][]>()
  for (const [first, ...rest] of others) {
    if (first !== undefined) nexts.set(first, [...(nexts.get(first) ?? []), rest])
  }
  const strangers = difference(ALL, charactersOf([...nexts.keys()].join('')))
  return choice(
    others.some((each) => each.length === 0) ? NEVER : QUOTE,
    sequence(stringCharacters(strangers), rule(JSON_NAME_TAIL)),
    ...Array.from(nexts, ([first, rests]) => sequence(stringContent(text(first)), nameRest(rests))),
  )
}

/** A text between the quotes of a string. */
function inString(value: string): Expression {
  return text(
    JSON.stringify(value)
      .slice(1, -1)
      .replace(/[\u2028\u2029]/g, escapedSeparator),
  )
}

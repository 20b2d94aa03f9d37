// Regular expressions, as JavaScript and Python write them, to expressions. What is no regular
// language, or looks at what surrounds a match, is refused by position.

import { ALL, type CodePoints, charactersOf, codePoints, difference } from './code-points.ts'
import { choice, EMPTY, type Expression, oneOf, repeat, sequence, text } from './expression.ts'
import { MAX_COUNT, MAX_DEPTH } from './limits.ts'
import { refuse, shown } from './refusal.ts'
import { readClass, readEscape, SHORTHANDS } from './regex-class.ts'

/** One way to match, and which of its ends are tied to the ends of the text. */
interface Alternative {
  body: Expression
  fromStart: boolean
  toEnd: boolean
}

const LINE_ENDS = charactersOf('\n\r')

/** The texts that a pattern matches as a whole; `^` and `$` may stand at its ends. Throws Refusal. */
export function wholeRegex(pattern: string): Expression {
  return choice(...new RegexReader(pattern).read().map(({ body }) => body))
}

/** The texts that a pattern matches somewhere, as `pattern` of JSON Schema. Throws Refusal. */
export function searchRegex(pattern: string): Expression {
  const anything = repeat(oneOf(ALL), 0)
  const ways = new RegexReader(pattern).read()
  return choice(
    ...ways.map(({ body, fromStart, toEnd }) =>
      sequence(fromStart ? EMPTY : anything, body, toEnd ? EMPTY : anything),
    ),
  )
}

class RegexReader {
  #at = 0
  #depth = 0

  constructor(readonly pattern: string) {
    if (!pattern.isWellFormed()) refuse('the pattern holds half of a surrogate pair')
  }

  read(): Alternative[] {
    const alternatives = [this.#alternative(true)]
    while (this.#take('|')) alternatives.push(this.#alternative(true))
    if (this.#at < this.pattern.length) this.#fail('`)` without `(`')
    return alternatives
  }

  #alternative(outermost: boolean): Alternative {
    const parts: Expression[] = []
    let fromStart = false
    let toEnd = false
    while (this.#at < this.pattern.length && !this.#sees('|') && !this.#sees(')')) {
      if (outermost && parts.length === 0 && (this.#take('^') || this.#take('\\A'))) {
        fromStart = true
        continue
      }
      if (outermost && (this.#take('$') || this.#take('\\Z') || this.#take('\\z'))) {
        toEnd = true
        if (this.#at < this.pattern.length && !this.#sees('|')) this.#fail('text after `$`')
        break
      }
      parts.push(this.#quantified(this.#atom()))
    }
    return { body: sequence(...parts), fromStart, toEnd }
  }

  #atom(): Expression {
    if (this.#take('(')) return this.#group()
    if (this.#take('.')) return oneOf(difference(ALL, LINE_ENDS))
    if (this.#sees('[')) return oneOf(this.#class())
    if (this.#take('\\')) return this.#escape()
    if (this.#sees('^') || this.#sees('$')) this.#fail('anchors may stand at the ends only')
    if (this.#sees('*') || this.#sees('+') || this.#sees('?')) this.#fail('nothing to repeat')
    if (/^\{,\d+\}/.test(this.pattern.slice(this.#at))) this.#fail('write {0,n} for {,n}')
    const character = String.fromCodePoint(this.pattern.codePointAt(this.#at)!)
    this.#at += character.length
    return text(character)
  }

  #group(): Expression {
    if (this.#take('?')) {
      const named = /^(?::|P?<[A-Za-z_]\w*>)/.exec(this.pattern.slice(this.#at))
      if (!named) this.#fail('of groups with `(?` only (?:...) and named ones are supported')
      this.#at += named[0].length
    }
    if (++this.#depth > MAX_DEPTH) this.#fail(`more than ${MAX_DEPTH} groups inside each other`)
    const options = [this.#alternative(false).body]
    while (this.#take('|')) options.push(this.#alternative(false).body)
    if (!this.#take(')')) this.#fail('a group is not closed')
    this.#depth--
    return choice(...options)
  }

  #class(): CodePoints {
    const { set, end } = readClass(this.pattern, this.#at, (message) => this.#fail(message))
    this.#at = end
    return set
  }

  #escape(): Expression {
    const next = this.pattern[this.#at] ?? this.#fail('a backslash at the end')
    if (SHORTHANDS[next]) {
      this.#at++
      return oneOf(SHORTHANDS[next])
    }
    if (/[1-9]/.test(next) || next === 'k') this.#fail('references to groups are not supported')
    if (/[bBAZzG]/.test(next)) this.#fail(`\\${next} is not supported`)
    const { codePoint, end } = readEscape(this.pattern, this.#at, (message) => this.#fail(message))
    this.#at = end
    return oneOf(codePoints([[codePoint, codePoint]]))
  }

  #quantified(atom: Expression): Expression {
    const rest = this.pattern.slice(this.#at, this.#at + 32)
    const found = /^(?:[*+?]|\{(\d+)(?:(,)(\d*))?\})/.exec(rest)
    if (!found) return atom
    this.#at += found[0].length
    // How eager a quantifier is changes what a match captures, not which texts match.
    if (!this.#take('?') && (this.#sees('*') || this.#sees('+'))) {
      this.#fail('two quantifiers in a row')
    }
    const { min, max } = bounds(found)
    if (min > MAX_COUNT || (max > MAX_COUNT && max !== Number.POSITIVE_INFINITY)) {
      this.#fail(`the count ${found[0]} is above ${MAX_COUNT}`)
    }
    if (min > max) this.#fail(`the count ${found[0]} ends before it starts`)
    return repeat(atom, min, max)
  }

  #sees(token: string): boolean {
    return this.pattern.startsWith(token, this.#at)
  }

  #take(token: string): boolean {
    if (!this.#sees(token)) return false
    this.#at += token.length
    return true
  }

  #fail(message: string): never {
    refuse(`pattern ${shown(this.pattern)}, position ${this.#at}: ${message}`)
  }
}

function bounds(quantifier: RegExpExecArray): { min: number; max: number } {
  const [source, low, comma, high] = quantifier
  if (source === '*') return { min: 0, max: Number.POSITIVE_INFINITY }
  if (source === '+') return { min: 1, max: Number.POSITIVE_INFINITY }
  if (source === '?') return { min: 0, max: 1 }
  if (!comma) return { min: Number(low), max: Number(low) }
  return { min: Number(low), max: high ? Number(high) : Number.POSITIVE_INFINITY }
}

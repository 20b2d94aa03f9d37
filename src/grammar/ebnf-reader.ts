// Reads the grammars that clients write: EBNF in the common part of GBNF (llama.cpp) and xgrammar.
// Lines `name ::= expression` with "text", [classes], groups, |, *, +, ?, {m,n}, `.` and # comments.

import { ALL } from './code-points.ts'
import {
  choice,
  type Expression,
  type Grammar,
  oneOf,
  repeat,
  rule,
  sequence,
  text,
} from './expression.ts'
import { MAX_COUNT, MAX_DEPTH } from './limits.ts'
import { refuse } from './refusal.ts'
import { readClass, readEscape } from './regex-class.ts'

const NAME = /[A-Za-z_][A-Za-z0-9_.-]*/y
const DEFINES = /\s*::=/y
const COUNT = /\{\s*(\d+)\s*(?:(,)\s*(\d*)\s*)?\}/y
const BLANK = /(?:\s|#[^\n]*)+/y

/** The grammar of a source whose texts are those of its rule `root`. Throws Refusal with the line. */
export function readEbnf(source: string): Grammar {
  return new EbnfReader(source).read()
}

class EbnfReader {
  #at = 0
  #depth = 0
  readonly #rules = new Map<string, Expression>()
  /** Where each rule is first used. */
  readonly #used = new Map<string, number>()

  constructor(readonly source: string) {
    if (!source.isWellFormed()) refuse('the grammar holds half of a surrogate pair')
  }

  read(): Grammar {
    this.#blank()
    while (this.#at < this.source.length) {
      const start = this.#at
      const name = this.#match(NAME)?.[0] ?? this.#fail('expected the name of a rule')
      if (!this.#match(DEFINES)) this.#fail(`expected ::= after ${name}`)
      if (this.#rules.has(name)) this.#fail(`the rule ${name} is defined twice`, start)
      this.#blank()
      this.#rules.set(name, this.#options())
    }
    for (const [name, at] of this.#used) {
      if (!this.#rules.has(name)) this.#fail(`the rule ${name} is used but not defined`, at)
    }
    if (!this.#rules.has('root')) refuse('grammar: there is no rule `root`')
    return { root: rule('root'), rules: this.#rules }
  }

  #options(): Expression {
    const options = [this.#sequence()]
    while (this.#take('|')) options.push(this.#sequence())
    return choice(...options)
  }

  #sequence(): Expression {
    const parts: Expression[] = []
    while (this.#at < this.source.length && !/[|)]/.test(this.source[this.#at])) {
      if (this.#atNextRule()) break
      parts.push(this.#quantified(this.#atom()))
    }
    return sequence(...parts)
  }

  #atom(): Expression {
    const character = this.source[this.#at]
    if (character === '"') return this.#text()
    if (character === '[') {
      const { set, end } = readClass(this.source, this.#at, (message) => this.#fail(message))
      this.#at = end
      this.#blank()
      return oneOf(set)
    }
    if (this.#take('.')) return oneOf(ALL)
    if (this.#take('(')) return this.#group()
    const at = this.#at
    const name = this.#match(NAME)?.[0]
    if (!name) this.#fail(`${JSON.stringify(character)} is not expected here`)
    this.#blank()
    if (!this.#used.has(name)) this.#used.set(name, at)
    return rule(name)
  }

  #group(): Expression {
    if (this.source[this.#at] === '=') this.#fail('lookahead (= ...) is not supported')
    if (++this.#depth > MAX_DEPTH) this.#fail(`more than ${MAX_DEPTH} groups inside each other`)
    const options = this.#options()
    if (!this.#take(')')) this.#fail('a group is not closed')
    this.#depth--
    return options
  }

  #text(): Expression {
    const start = this.#at++
    let value = ''
    while (this.source[this.#at] !== '"') {
      if (this.#at >= this.source.length || this.source[this.#at] === '\n') {
        this.#fail('a text is not closed', start)
      }
      if (this.source[this.#at] === '\\') {
        const fail = (message: string) => this.#fail(message)
        const { codePoint, end } = readEscape(this.source, this.#at + 1, fail)
        value += String.fromCodePoint(codePoint)
        this.#at = end
      } else {
        value += this.source[this.#at++]
      }
    }
    this.#at++
    this.#blank()
    if (!value.isWellFormed()) this.#fail('a text holds half of a surrogate pair', start)
    return text(value)
  }

  #quantified(atom: Expression): Expression {
    let expression = atom
    for (;;) {
      if (this.#take('*')) expression = repeat(expression, 0)
      else if (this.#take('+')) expression = repeat(expression, 1)
      else if (this.#take('?')) expression = repeat(expression, 0, 1)
      else if (this.source[this.#at] === '{') expression = this.#counted(expression)
      else return expression
    }
  }

  #counted(expression: Expression): Expression {
    const start = this.#at
    const found = this.#match(COUNT) ?? this.#fail('expected {m}, {m,} or {m,n}')
    const [, low, comma, high] = found
    const min = Number(low)
    const max = high ? Number(high) : comma ? Number.POSITIVE_INFINITY : min
    if (min > MAX_COUNT || (max > MAX_COUNT && max !== Number.POSITIVE_INFINITY)) {
      this.#fail(`a count is above ${MAX_COUNT}`, start)
    }
    if (min > max) this.#fail('a count ends before it starts', start)
    this.#blank()
    return repeat(expression, min, max)
  }

  /** Whether a name with ::= comes next: a rule ends where the next one begins. */
  #atNextRule(): boolean {
    const at = this.#at
    const found = this.#match(NAME) && this.#match(DEFINES)
    this.#at = at
    return Boolean(found)
  }

  #take(token: string): boolean {
    if (!this.source.startsWith(token, this.#at)) return false
    this.#at += token.length
    this.#blank()
    return true
  }

  #blank(): void {
    this.#match(BLANK)
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.source)
    if (!found) return undefined
    this.#at += found[0].length
    return found
  }

  #fail(message: string, at = this.#at): never {
    const before = this.source.slice(0, at).split('\n')
    refuse(`grammar, line ${before.length}, column ${before.at(-1)!.length + 1}: ${message}`)
  }
}

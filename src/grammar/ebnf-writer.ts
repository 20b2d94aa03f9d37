// Writes a grammar in xgrammar's EBNF, in the part of it that @mlc-ai/web-xgrammar 0.1.27 gets right.
//
// Found by experiment, each with a test: ranges in a positive class are ranges of *bytes*; a negated
// class of ASCII characters stands for every other code point, loosely spelled (`Utf8Gate` forbids
// what is no UTF-8); a NUL works in a class only; groups nested 300 deep overrun its stack.

import {
  ASCII,
  type CodePoints,
  countOf,
  difference,
  intersection,
  NON_ASCII,
} from './code-points.ts'
import type { Expression, Grammar } from './expression.ts'
import { refuse } from './refusal.ts'
import { type ByteRange, utf8Sequences } from './utf8-ranges.ts'

/** Groups nested deeper than this get rules of their own. */
const MAX_DEPTH = 8

/** The grammar's source; its first rule is `root`. */
export function writeEbnf(grammar: Grammar): string {
  return new Writer(grammar).write()
}

class Writer {
  readonly #names = new Map<string, string>()
  readonly #lines: string[] = []
  #extra = 0

  constructor(readonly grammar: Grammar) {
    for (const name of grammar.rules.keys()) this.#names.set(name, `r${this.#names.size}`)
  }

  write(): string {
    this.#rule('root', this.grammar.root)
    for (const [name, body] of this.grammar.rules) this.#rule(this.#names.get(name)!, body)
    return this.#lines.join('\n')
  }

  #rule(name: string, body: Expression): void {
    const at = this.#lines.push('') - 1
    this.#lines[at] = `${name} ::= ${this.#source(body, 0)}`
  }

  #source(expression: Expression, depth: number): string {
    switch (expression.kind) {
      case 'text':
        return literal(expression.text)
      case 'class':
        return classSource(expression.set)
      case 'rule':
        return this.#names.get(expression.name)!
      case 'sequence':
        return expression.parts.map((part) => this.#part(part, depth)).join(' ')
      case 'choice':
        return expression.options.map((option) => this.#source(option, depth)).join(' | ')
      case 'repeat':
        return `${this.#counted(expression.of, depth)}${times(expression.min, expression.max)}`
    }
  }

  /** Source that can stand in a sequence. */
  #part(expression: Expression, depth: number): string {
    return expression.kind === 'repeat'
      ? this.#source(expression, depth)
      : this.#counted(expression, depth)
  }

  /** Source that can stand before a count. */
  #counted(expression: Expression, depth: number): string {
    if (expression.kind === 'rule') return this.#source(expression, depth)
    if (expression.kind === 'text' && !expression.text.includes('\0')) {
      return literal(expression.text)
    }
    if (expression.kind === 'class') {
      const source = classSource(expression.set)
      return isAtom(source) ? source : `(${source})`
    }
    if (depth < MAX_DEPTH) return `(${this.#source(expression, depth + 1)})`
    const name = `x${this.#extra++}`
    this.#rule(name, expression)
    return name
  }
}

function times(min: number, max: number): string {
  if (max === Number.POSITIVE_INFINITY) return min === 0 ? '*' : min === 1 ? '+' : `{${min},}`
  return min === 0 && max === 1 ? '?' : `{${min},${max}}`
}

function literal(text: string): string {
  if (/[\u2028\u2029]/.test(text)) refuse('U+2028 and U+2029 cannot be written in answers')
  const pieces = text.split('\0').map((piece) => (piece === '' ? '' : quoted(piece)))
  return pieces.join(' [\\x00-\\x00] ').trim() || '""'
}

function quoted(text: string): string {
  return `"${Array.from(text, (character) => escaped(character.codePointAt(0)!)).join('')}"`
}

function escaped(codePoint: number): string {
  if (codePoint === 0x22 || codePoint === 0x5c) return `\\${String.fromCharCode(codePoint)}`
  if (codePoint >= 0x20 && codePoint < 0x7f) return String.fromCharCode(codePoint)
  return codePoint > 0xffff
    ? `\\U${codePoint.toString(16).padStart(8, '0')}`
    : `\\u${codePoint.toString(16).padStart(4, '0')}`
}

function isAtom(source: string): boolean {
  return source.startsWith('[') && source.indexOf(']') === source.length - 1
}

function classSource(set: CodePoints): string {
  const ascii = intersection(set, ASCII)
  const missing = difference(ASCII, ascii)
  if (countOf(intersection(set, NON_ASCII)) === countOf(NON_ASCII)) {
    return missing.length > 0 ? bytes(missing, '^') : `${bytes(ASCII)} | ${bytes(ASCII, '^')}`
  }
  return [
    ...(ascii.length > 0 ? [bytes(ascii)] : []),
    ...utf8Sequences(intersection(set, NON_ASCII)).map((ranges) => ranges.map(oneByte).join(' ')),
  ].join(' | ')
}

/** A class of one byte would be taken for a code point, so it gets the byte 0xff, which no token has. */
function oneByte(range: ByteRange): string {
  return bytes(range[0] === range[1] ? [range, [0xff, 0xff]] : [range])
}

function bytes(ranges: readonly ByteRange[], sign = ''): string {
  const hex = (byte: number) => `\\x${byte.toString(16).padStart(2, '0')}`
  const range = ([first, last]: ByteRange) =>
    first === last && first < 0x80 ? hex(first) : `${hex(first)}-${hex(last)}`
  return `[${sign}${ranges.map(range).join('')}]`
}

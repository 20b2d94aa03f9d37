// The parts of a regular expression that stand for one character: classes and escapes.

import { ALL, type CodePointRange, type CodePoints, codePoints, difference } from './code-points.ts'

type Fail = (message: string) => never

const DIGITS: CodePointRange[] = [[0x30, 0x39]]
const LETTERS: CodePointRange[] = [
  [0x41, 0x5a],
  [0x61, 0x7a],
]
const WORD = codePoints([...DIGITS, ...LETTERS, [0x5f, 0x5f]])

/** JavaScript's white space, which is also what Python and ajv take for it, but for rare controls. */
const SPACE = codePoints([
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
])

/** Sets with a letter of their own; `\d` and `\w` are ASCII, as in JavaScript. */
export const SHORTHANDS: Record<string, CodePoints> = {
  d: codePoints(DIGITS),
  D: difference(ALL, codePoints(DIGITS)),
  w: WORD,
  W: difference(ALL, WORD),
  s: SPACE,
  S: difference(ALL, SPACE),
}

const CONTROLS: Record<string, number> = { '0': 0, n: 10, r: 13, t: 9, f: 12, v: 11 }
const HEX = /^(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}|U([0-9A-Fa-f]{8}))/

/** Reads the class whose `[` is at `start`. */
export function readClass(
  pattern: string,
  start: number,
  fail: Fail,
): { set: CodePoints; end: number } {
  let at = start + 1
  const negated = pattern[at] === '^'
  if (negated) at++
  const ranges: CodePointRange[] = []
  if (pattern[at] === ']') fail('a `]` that begins a class must be written \\]')
  while (pattern[at] !== ']') {
    if (at >= pattern.length) fail('a class is not closed')
    if (pattern[at] === '[' && /[:.=]/.test(pattern[at + 1] ?? '')) {
      fail('named classes as [:alpha:] are not supported')
    }
    const low = readMember(pattern, at, fail)
    at = low.end
    if (low.set) {
      ranges.push(...low.set)
      continue
    }
    let high = low
    if (pattern[at] === '-' && at + 1 < pattern.length && pattern[at + 1] !== ']') {
      high = readMember(pattern, at + 1, fail)
      if (high.set) fail('a range ends in a set of characters')
      if (high.codePoint < low.codePoint) fail('a range ends before it starts')
      at = high.end
    }
    ranges.push([low.codePoint, high.codePoint])
  }
  const set = codePoints(ranges)
  return { set: negated ? difference(ALL, set) : set, end: at + 1 }
}

/** Reads the escape whose backslash is before `at`. */
export function readEscape(
  pattern: string,
  at: number,
  fail: Fail,
): { codePoint: number; end: number } {
  const next = pattern[at] ?? fail('a backslash at the end')
  if (next === '0' && /\d/.test(pattern[at + 1] ?? '')) fail('octal escapes are not supported')
  if (Object.hasOwn(CONTROLS, next)) return { codePoint: CONTROLS[next], end: at + 1 }
  const hex = HEX.exec(pattern.slice(at, at + 12))
  if (hex) {
    const codePoint = Number.parseInt(hex.slice(1).find((digits) => digits !== undefined)!, 16)
    if (codePoint > 0x10ffff) fail(`\\${hex[0]} is beyond Unicode`)
    return { codePoint, end: at + hex[0].length }
  }
  if (/[A-Za-z0-9]/.test(next)) fail(`\\${next} is not supported`)
  const codePoint = pattern.codePointAt(at)!
  return { codePoint, end: at + String.fromCodePoint(codePoint).length }
}

interface Member {
  codePoint: number
  set?: CodePoints
  end: number
}

function readMember(pattern: string, at: number, fail: Fail): Member {
  if (pattern[at] !== '\\') {
    const codePoint = pattern.codePointAt(at)!
    return { codePoint, end: at + String.fromCodePoint(codePoint).length }
  }
  const next = pattern[at + 1]
  if (next === 'b') return { codePoint: 8, end: at + 2 }
  if (next !== undefined && SHORTHANDS[next]) {
    return { codePoint: -1, set: SHORTHANDS[next], end: at + 2 }
  }
  return readEscape(pattern, at + 1, fail)
}

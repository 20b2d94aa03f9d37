// Patterns mean what they mean in JavaScript; what cannot be enforced is refused by position.

import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { Refusal } from '../../src/grammar/refusal.ts'
import { searchRegex, wholeRegex } from '../../src/grammar/regex.ts'
import { matches } from './matcher.ts'

const PATTERNS = [
  'abc',
  '^abc$',
  'a|b|',
  '^a|b$',
  '^(?:ab|c)+?d{2,3}$',
  'x*y?z+',
  '[a-c\\d_-]{2}',
  '[^a-c]',
  '\\w\\W\\s\\S\\d\\D',
  '.',
  '^.{3}$',
  '(?<year>\\d{4})-(\\d\\d)',
  '\\x41\\u00e9\\u{1F600}\\n\\t\\\\\\.\\/',
  '[\\n\\]\\\\^]',
  'a{2,}',
  'a{0}b',
  '{',
  'a{,b',
  '[à-ü]|[一-龥]',
  '^$|^x$',
  '((a|b)(c|d))*',
  '[\\s\\S]{2}',
  '[-a]',
  '[a-]',
]

const TEXTS = ['', 'abc', 'a', 'b', 'c', 'x', 'é', 'ü', '一', '😀', '\n', 'ab', 'aa', 'aab', '  ', 'a-', '{', 'a{,b', '2024-05', 'Aé😀\n\t\\./', 'abcd', 'ababdd', 'yz', 'xxyzz', 'a!\t.7x', 'xabcx', '\\', ']', '^', 'acbd', 'acb', '\u00a0', '-', '_9'] // biome-ignore format: a list of words

describe.each(PATTERNS)('%s', (pattern) => {
  const flags = 'u'
  const js = (source: string) => new RegExp(source, flags)
  // Python and JavaScript without flags let a lone brace stand for itself; flag u does not.
  const source = pattern.replaceAll(/\{(?![\d])|(?<=a)\{(?=,b)/g, (found, at: number) =>
    pattern[at - 1] === 'u' ? found : '\\{',
  )

  test('matches whole texts', () => {
    for (const text of TEXTS) {
      expect([text, matches(wholeRegex(pattern), text)]).toEqual([
        text,
        js(`^(?:${source})$`).test(text),
      ])
    }
  })

  test('is found in texts', () => {
    for (const text of TEXTS) {
      expect([text, matches(searchRegex(pattern), text)]).toEqual([text, js(source).test(text)])
    }
  })
})

test('random patterns of random parts', () => {
  const part = fc.constantFrom('a', 'b', '[ab]', '[^a]', '(?:a|bc)', '.', '\\w', 'é')
  const count = fc.constantFrom('', '*', '+', '?', '{2}', '{1,3}', '{2,}')
  const branch = fc
    .array(fc.tuple(part, count), { maxLength: 4 })
    .map((each) => each.flat().join(''))
  const pattern = fc.array(branch, { minLength: 1, maxLength: 3 }).map((each) => each.join('|'))
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'é', ' '), maxLength: 6 })
  fc.assert(
    fc.property(pattern, text, (source, candidate) => {
      const found = matches(searchRegex(source), candidate)
      return found === new RegExp(source, 'u').test(candidate)
    }),
    { seed: 5, numRuns: 2000 },
  )
})

describe('refused', () => {
  test.each([
    ['(?=a)b', 'position 2: of groups with `(?` only (?:...) and named ones are supported'],
    ['(?i)a', 'position 2'],
    ['(a)\\1', 'position 4: references to groups are not supported'],
    ['\\bword', '\\b is not supported'],
    ['a^b', 'position 1: anchors may stand at the ends only'],
    ['(^a)', 'anchors may stand at the ends only'],
    ['a$b', 'text after `$`'],
    ['(a', 'a group is not closed'],
    ['a)', '`)` without `(`'],
    ['[a', 'a class is not closed'],
    ['[]a]', 'must be written \\]'],
    ['[b-a]', 'a range ends before it starts'],
    ['[[:alpha:]]', 'named classes'],
    ['*a', 'nothing to repeat'],
    ['a**', 'two quantifiers in a row'],
    ['a++', 'two quantifiers in a row'],
    ['a{3,2}', 'the count {3,2} ends before it starts'],
    ['a{1,99999}', 'the count {1,99999} is above 10000'],
    ['a{,3}', 'write {0,n} for {,n}'],
    ['\\p{L}', '\\p is not supported'],
    ['a\\', 'a backslash at the end'],
    ['\\u{110000}', '\\u{110000} is beyond Unicode'],
    ['\ud800', 'half of a surrogate pair'],
    [`${'('.repeat(65)}a${')'.repeat(65)}`, 'more than 64 groups inside each other'],
  ])('%s', (pattern, reason) => {
    expect(() => wholeRegex(pattern)).toThrow(Refusal)
    expect(() => wholeRegex(pattern)).toThrow(reason)
  })
})

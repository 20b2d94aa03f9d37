// Grammars that clients write: what is read, and what is refused with its line.

import { describe, expect, test } from 'bun:test'
import { readEbnf } from '../../src/grammar/ebnf-reader.ts'
import { prune } from '../../src/grammar/prune.ts'
import { Refusal } from '../../src/grammar/refusal.ts'
import { matches } from './matcher.ts'

/** The root of a grammar in which no other rule is used. */
function rootOf(source: string) {
  return readEbnf(source).rules.get('root')!
}

describe('reads', () => {
  test.each<[source: string, allowed: string[], refused: string[]]>([
    ['root ::= "a" | "b" "c"', ['a', 'bc'], ['b', 'ac']],
    ['root ::= ("a" | "b")+ "c"? "d"*', ['a', 'bac', 'abdd'], ['', 'c']],
    ['root ::= "a"{2} [0-9]{1,2} "x"{0,} "y"{1,}', ['aa7y', 'aa77xxyy'], ['a7y', 'aa777y', 'aa7']],
    ['root ::= [^a-c\\]] .', ['dé', ' \n'], ['aa', ']x', 'd']],
    ['root ::= "\\n\\t\\"\\\\\\x41\\u00e9\\U0001F600"', ['\n\t"\\Aé😀'], ['n']],
    ['root ::= "" | "a"', ['', 'a'], ['b']],
    ['# head\nroot ::= # why\n  "a" # b\n  | "c"\n\n', ['a', 'c'], ['b']],
    ['root ::= "a"\n  "b"\nother ::= "c"', ['ab'], ['a', 'abc']],
    ['root ::= "::=" "#"', ['::=#'], ['#']],
  ])('%j', (source, allowed, refused) => {
    for (const text of allowed) expect([text, matches(rootOf(source), text)]).toEqual([text, true])
    for (const text of refused) expect([text, matches(rootOf(source), text)]).toEqual([text, false])
  })

  test('names as llama.cpp and xgrammar write them', () => {
    const { rules } = readEbnf('root ::= a-b c_d e.f\na-b::="1"\nc_d ::= "2"\ne.f ::= "3"')
    expect([...rules.keys()]).toEqual(['root', 'a-b', 'c_d', 'e.f'])
  })
})

describe('refused', () => {
  test.each([
    ['', 'there is no rule `root`'],
    ['a ::= "b"', 'there is no rule `root`'],
    ['root ::= x', 'line 1, column 10: the rule x is used but not defined'],
    ['root ::= "a"\nroot ::= "b"', 'line 2, column 1: the rule root is defined twice'],
    ['root = "a"', 'line 1, column 5: expected ::= after root'],
    ['root ::= "a', 'line 1, column 10: a text is not closed'],
    ['root ::= "a\n"', 'a text is not closed'],
    ['root ::= ("a"', 'a group is not closed'],
    ['root ::= "a")', 'expected the name of a rule'],
    ['root ::= [a', 'a class is not closed'],
    ['root ::= * "a"', 'line 1, column 10: "*" is not expected here'],
    ['root ::= "a"{3,1}', 'a count ends before it starts'],
    ['root ::= "a"{20000}', 'a count is above 10000'],
    ['root ::= "a"{x}', 'expected {m}, {m,} or {m,n}'],
    ['root ::= "a" (= "b")', 'lookahead (= ...) is not supported'],
    ['root ::= "\\q"', '\\q is not supported'],
    ['root ::= "\\ud800"', 'half of a surrogate pair'],
    ['root ::= TagDispatch(("a", b))', 'is not expected here'],
    [`root ::= ${'('.repeat(70)}"a"${')'.repeat(70)}`, 'more than 64 groups'],
  ])('%j', (source, reason) => {
    expect(() => readEbnf(source)).toThrow(Refusal)
    expect(() => readEbnf(source)).toThrow(reason)
  })
})

describe('rules without an end are taken out', () => {
  test.each([
    ['root ::= "a" | root "b"', true],
    ['root ::= a\na ::= a "x"', false],
    ['root ::= a b\na ::= "x"\nb ::= b', false],
    ['root ::= "x" b?\nb ::= "y" b', true],
    ['root ::= (b | "z")+\nb ::= "y" b', true],
  ])('%j', (source, hasTexts) => {
    expect(prune(readEbnf(source)) !== undefined).toBe(hasTexts)
  })

  test('and so are options that lead to them', () => {
    const grammar = prune(readEbnf('root ::= "x" (a | "y")? b*\na ::= a\nb ::= "z" b'))!
    expect([...grammar.rules.keys()]).toEqual(['root'])
    expect(matches(grammar.rules.get('root')!, 'xy')).toBe(true)
    expect(matches(grammar.rules.get('root')!, 'xyz')).toBe(false)
  })
})

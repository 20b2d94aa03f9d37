// Which tokens of an item are scored, and what becomes of the scores.
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { figuresOf, promptsOf, rankItems, type Verdict } from '../../src/evaluation/choices.ts'
import { Tokenizer } from '../../src/text/tokenizer.ts'
import { shipped } from '../helpers/model.ts'
import { scoringEngine } from './scoring-engine.ts'

const folder = join(shipped, 'tales-gla-5m')
const tokenizer = await Tokenizer.open(
  join(folder, 'tokenizer.json'),
  join(folder, 'tokenizer_config.json'),
)

/** Of one choice. */
function promptOf(
  tokenizer: Parameters<typeof promptsOf>[0],
  query: string,
  choice: string,
  maxLength: number | undefined,
) {
  return promptsOf(tokenizer, { query, choices: [choice] }, maxLength)[0]
}

/** Code points are tokens; `begins` puts 1 in front of a text. */
function letters(begins: boolean) {
  return {
    ...{ bosTokenId: begins ? 1 : undefined, eosTokenId: 2 },
    encode: (text: string, { addSpecialTokens = true } = {}) => [
      ...(begins && addSpecialTokens ? [1] : []),
      ...Array.from(text, (letter) => letter.codePointAt(0)!),
    ],
  }
}

describe('the tokens that are scored', () => {
  const spelled = ({ ids, from }: { ids: number[]; from: number }) =>
    ids.map((id, i) => (i === from ? '|' : '') + (id < 3 ? `<${id}>` : String.fromCodePoint(id)))

  test.each<[string, string, boolean, string]>([
    ['ab', 'cd', true, '<1>ab| cd'],
    ['ab ', 'cd', true, '<1>ab| cd'],
    ['ab', ' cd', true, '<1>ab| cd'],
    ['ab\n', 'cd', true, '<1>ab|\ncd'],
    ['', 'cd', true, '<1>|cd'],
    ['  ', 'cd', true, '<1>|  cd'],
    ['ab', 'cd', false, 'ab| cd'],
    // What begins nothing needs something in front of it.
    ['', 'cd', false, '<2>|cd'],
  ])('%j and %j', (query, choice, begins, expected) => {
    expect(spelled(promptOf(letters(begins), query, choice, undefined)).join('')).toBe(expected)
  })

  test('of a real tokenizer: the ids behind those of the query', () => {
    const { ids, from } = promptOf(tokenizer, 'Once upon a', 'time', undefined)
    expect(ids).toEqual(tokenizer.encode('Once upon a time'))
    expect(ids.slice(0, from)).toEqual(tokenizer.encode('Once upon a'))
    expect(tokenizer.decode(ids.slice(from), { after: ids.slice(0, from) })).toBe(' time')
  })

  test('a long query loses its beginning', () => {
    const prompt = promptOf(letters(true), 'abcdef', 'gh', 5)
    expect(spelled(prompt).join('')).toBe('ef| gh')
    expect(prompt.truncated).toBe(true)
    expect(promptOf(letters(true), 'abcdef', 'gh', 10).truncated).toBe(false)
    // Of a choice that fills all of it, the first token only leads in.
    expect(promptOf(letters(true), 'ab', 'cdefg', 4)).toMatchObject({ from: 1, truncated: true })
  })
})

test('ranking: sums, ties, and lengths', async () => {
  // Each letter costs what it is from a on; spaces are free.
  const { engine, most } = scoringEngine((id) => (id < 97 ? -0 : 96 - id))
  const items = [
    // a: -1, b: -2.
    { query: 'q', choices: ['a', 'b'], gold: 0 },
    // aaa: -3 (-1 a letter), b: -2: the longer one wins by letters only.
    { query: 'q', choices: ['aaa', 'b'], gold: 0 },
    // Equal: the first.
    { query: 'q', choices: ['ba', 'ab'], gold: 1 },
  ]
  const shown: [number, number][] = []
  const model = {
    engine,
    tokenizer: letters(true) as never,
    plan: { slots: 2 },
    maxLength: undefined,
  }
  const { verdicts, truncated } = await rankItems(model, items, (...args) => shown.push(args))
  expect(verdicts).toEqual([
    { item: 0, gold: 0, logLikelihoods: [-1, -2], best: 0, bestNorm: 0 },
    { item: 1, gold: 0, logLikelihoods: [-3, -2], best: 1, bestNorm: 0 },
    { item: 2, gold: 1, logLikelihoods: [-3, -3], best: 0, bestNorm: 0 },
  ])
  expect(truncated).toBe(0)
  expect(shown.map(([done]) => done)).toEqual([1, 2, 3])
  expect(shown.at(-1)).toEqual([3, 1])
  expect(most()).toBe(4)
  const figures = figuresOf(verdicts)
  expect(figures).toMatchObject({ items: 3, acc: 1 / 3, accNorm: 2 / 3 })
  // Of the values 1, 0, 0: standard deviation sqrt(1/3), over the root of three.
  expect(figures.accStderr).toBeCloseTo(1 / 3, 12)
})

test('characters are code points, and one item has no error', async () => {
  const verdict: Verdict = { item: 0, gold: 0, logLikelihoods: [-1, -2], best: 0, bestNorm: 0 }
  expect(figuresOf([verdict])).toMatchObject({ acc: 1, accStderr: undefined })
  const { engine } = scoringEngine((id) => (id > 0xffff ? -2 : -1.5))
  const model = {
    engine,
    tokenizer: letters(true) as never,
    plan: { slots: 1 },
    maxLength: undefined,
  }
  // Two characters of four UTF-16 units for -5.5, two letters for -4.5.
  const items = [{ query: 'q', choices: ['😀😀', 'ab'], gold: 1 }]
  const [{ logLikelihoods, bestNorm }] = (await rankItems(model, items)).verdicts
  expect(logLikelihoods).toEqual([-5.5, -4.5])
  expect(bestNorm).toBe(1)
})

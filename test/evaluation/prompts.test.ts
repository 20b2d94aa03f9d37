// Which tokens of an item are scored, and that they are those of lm-evaluation-harness.
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import fc from 'fast-check'
import { ConfigError } from '../../src/errors.ts'
import { promptsOf } from '../../src/evaluation/prompts.ts'
import type { Reader } from '../../src/evaluation/task.ts'
import { Tokenizer } from '../../src/text/tokenizer.ts'
import { shipped } from '../helpers/model.ts'
import { TempFolder } from '../helpers/temp-folder.ts'
import { gpt2, llama3 } from '../text/tiny-tokenizers.ts'
import { BOS, EOS, type LettersOptions, lettersReader, spelled } from './letters.ts'

/** Of one choice. */
function promptOf(reader: Reader, query: string, choice: string, delimiter = ' ') {
  const item = { line: 7, query, choices: [choice] }
  return promptsOf(reader, item, { file: 'f', delimiter })[0]
}

const begins = { before: [BOS], bosTokenId: BOS, eosTokenId: EOS }

describe('the tokens that are scored', () => {
  test.each<[string, string, string, string]>([
    ['ab', 'cd', ' ', '<1>ab| cd'],
    ['ab', 'cd', '', '<1>ab|cd'],
    ['ab', 'cd', '\n', '<1>ab|\ncd'],
    // White space that is there already is no reason to leave out the delimiter.
    ['ab ', 'cd', ' ', '<1>ab|  cd'],
    ['ab', ' cd', ' ', '<1>ab|  cd'],
    ['ab\n', 'cd', ' ', '<1>ab|\n cd'],
    ['ab\n', 'cd', '', '<1>ab|\ncd'],
    // Nor is an empty query.
    ['', 'cd', ' ', '<1>| cd'],
    ['', 'cd', '', '<1>|cd'],
    ['  ', 'cd', ' ', '<1>|   cd'],
    // What is white space to Python: not a byte order mark, but separators of old files.
    ['ab\u{feff}', 'cd', ' ', '<1>ab\u{feff}| cd'],
    ['ab\u{a0}\u{85}\x1c', 'cd', ' ', '<1>ab|\u{a0}\u{85}\x1c cd'],
  ])('%j and %j with %j between', (query, choice, delimiter, expected) => {
    expect(spelled(promptOf(lettersReader(begins), query, choice, delimiter))).toBe(expected)
  })

  test.each<[LettersOptions, string, string]>([
    // A checkpoint without tokenizer_config.json names no token, but its tokenizer puts one.
    [{ before: [BOS] }, 'ab', '<1>ab| cd'],
    [{ before: [BOS] }, '', '<1>| cd'],
    // A token behind a text is none of the beginning, and would part query and choice.
    [{ before: [BOS], behind: [EOS] }, 'ab', '<1>ab| cd'],
    [{ behind: [EOS], eosTokenId: EOS }, 'ab', 'ab| cd'],
    // What begins nothing needs something in front of it.
    [{ bosTokenId: BOS, eosTokenId: EOS }, 'ab', 'ab| cd'],
    [{ bosTokenId: BOS, eosTokenId: EOS }, '', '<1>| cd'],
    [{ eosTokenId: EOS, eosTokenIds: [0] }, '', '<2>| cd'],
    [{ eosTokenIds: [0, EOS] }, ' ', '<0>|  cd'],
  ])('%j, query %j', (options, query, expected) => {
    expect(spelled(promptOf(lettersReader(options), query, 'cd'))).toBe(expected)
  })

  test('a text that spells its beginning has it once', () => {
    const merged = { '<s>': BOS }
    const reader = lettersReader({ ...begins, merged })
    expect(spelled(promptOf(reader, '<s>ab', 'cd'))).toBe('<1>ab| cd')
    expect(spelled(promptOf(reader, '', '<s>cd', ''))).toBe('<1>|cd')
    expect(spelled(promptOf(lettersReader({ bosTokenId: BOS, merged }), '', '<s>cd', ''))).toBe(
      '<1>|cd',
    )
    // Of a text that is nothing else, there must be something to score.
    expect(spelled(promptOf(reader, '', '<s>', ''))).toBe('<1>|<1>')
  })

  test('a token merged of query and choice counts as the query', () => {
    const reader = lettersReader({ ...begins, merged: { bc: 0x4e2d } })
    expect(spelled(promptOf(reader, 'ab', 'cd', ''))).toBe('<1>ab|d')
    // Unless nothing else is left of the choice.
    expect(spelled(promptOf(reader, 'ab', 'c', ''))).toBe('<1>a|中')
    expect(
      spelled(promptOf(lettersReader({ eosTokenId: EOS, merged: { bc: 9 } }), 'b', 'c', '')),
    ).toBe('<2>|\t')
  })

  test('a long query loses its beginning', () => {
    const limited = (maxLength: number) => lettersReader({ ...begins, maxLength })
    const prompt = promptOf(limited(5), 'abcdef', 'gh')
    expect(spelled(prompt)).toBe('ef| gh')
    expect(prompt.truncated).toBe(true)
    expect(promptOf(limited(10), 'abcdef', 'gh').truncated).toBe(false)
    expect(promptOf(limited(9), 'abcdef', 'gh').truncated).toBe(true)
    expect(spelled(promptOf(limited(4), 'abcdef', 'gh'))).toBe('f| gh')
  })
})

describe('refused', () => {
  test.each<[LettersOptions, string, string[], string]>([
    [
      { ...begins, maxLength: 4 },
      'ab',
      ['g', 'ghi'],
      'line 7: choice 2 has 4 tokens; with one before them the model takes 4 (--max-model-len)',
    ],
    [{}, '', ['cd', 'e'], 'the model names none that begins or ends a text (bos_token, eos_token'],
    [
      { ...begins, dropped: /[\s\u200b]/g },
      ' ',
      ['a', '\u200b'],
      'line 7: choice 2 gives no tokens',
    ],
  ])('%j, query %j, choices %j', (options, query, choices, message) => {
    const make = () =>
      promptsOf(lettersReader(options), { line: 7, query, choices }, { file: 'f', delimiter: ' ' })
    expect(make).toThrow(ConfigError)
    expect(make).toThrow('--dataset f')
    expect(make).toThrow(message)
  })
})

/** Of what the texts below hold, all that str.rstrip takes. */
const PYTHON_SPACE = [' ', '\n', '\u{3000}', '\x1f']

/**
 * What lm-evaluation-harness feeds a causal model (TemplateLM.loglikelihood with the
 * tokenizer of HFLM): both parts are encoded, with what is added to a text unless it spells that.
 */
function harnessPair(tokenizer: Tokenizer, query: string, continuation: string) {
  const first = tokenizer.bosTokenId ?? tokenizer.eosTokenId!
  if (query === '') {
    const ids = tokenizer.encode(continuation, { addSpecialTokens: false })
    return ids[0] === first
      ? { context: ids.slice(0, 1), scored: ids.slice(1) }
      : { context: [first], scored: ids }
  }
  let length = query.length
  while (PYTHON_SPACE.includes(query.charAt(length - 1) || 'none')) length--
  const stripped = query.slice(0, length)
  const encode = (text: string) =>
    tokenizer.encode(text, { addSpecialTokens: !text.startsWith(tokenizer.display(first)) })
  const context = encode(stripped)
  return { context, scored: encode(query + continuation).slice(context.length) }
}

describe('the same as lm-evaluation-harness', () => {
  const words = [
    'Once upon a time',
    ' king',
    "'s",
    'é',
    '中国',
    '😀',
    ' ',
    '\n',
    '\u{3000}',
    '123',
    '<s>',
  ]
  const texts = fc.array(fc.constantFrom(...words, '<|end|>', 'hello', '\x1f', '\u{feff}', 'x'), {
    maxLength: 6,
  })
  const text = texts.map((parts) => parts.join(''))
  const delimiters = fc.constantFrom(' ', '', '\n', ' → ')

  const open = async (json: object, config: object) => {
    await using temp = await TempFolder.create()
    const files = ['tokenizer.json', 'tokenizer_config.json'].map((name) => join(temp.path, name))
    await Bun.write(files[0], JSON.stringify(json))
    await Bun.write(files[1], JSON.stringify(config))
    return await Tokenizer.open(files[0], files[1])
  }

  test.each<[string, () => Promise<Tokenizer>]>([
    [
      'a shipped tokenizer',
      () =>
        Tokenizer.open(
          join(shipped, 'tales-gla-5m/tokenizer.json'),
          join(shipped, 'tales-gla-5m/tokenizer_config.json'),
        ),
    ],
    ['GPT-2: nothing before a text', () => open(gpt2(), { eos_token: '<|end|>' })],
    ['Llama 3: a token before a text', () => open(llama3(), { bos_token: '<|end|>' })],
  ])('%s', async (_, openTokenizer) => {
    const tokenizer = await openTokenizer()
    const reader = { tokenizer, eosTokenIds: [], maxLength: undefined }
    let compared = 0
    fc.assert(
      fc.property(text, text, delimiters, (query, choice, delimiter) => {
        const { context, scored } = harnessPair(tokenizer, query, delimiter + choice)
        // There the harness ends with a failed assertion.
        if (context.length === 0 || scored.length === 0) return
        compared++
        const { ids, from } = promptOf(reader, query, choice, delimiter)
        expect(ids).toEqual([...context, ...scored])
        expect(from).toBe(context.length)
      }),
      { numRuns: 500 },
    )
    expect(compared).toBeGreaterThan(300)
  })
})

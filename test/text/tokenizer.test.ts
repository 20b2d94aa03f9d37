// The shipped tokenizer against known ids, and text that must survive the way to ids and back.

import { beforeAll, describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Tokenizer } from '../../src/text/tokenizer.ts'

const root = join(import.meta.dir, '../..')
const heldout = join(root, '../shared/models/heldout.txt')
const models = ['tales-gla-5m', 'tales-gsa-5m']

function open(model: string): Promise<Tokenizer> {
  const folder = join(root, 'models/checkpoints', model)
  return Tokenizer.open(join(folder, 'tokenizer.json'), join(folder, 'tokenizer_config.json'))
}

describe.each(models)('%s', (model) => {
  let tokenizer: Tokenizer
  let golden: {
    cases: { prompt: string; ids: number[]; greedy_ids: number[]; greedy_text: string }[]
    long: { ids: number[] }
  }

  beforeAll(async () => {
    tokenizer = await open(model)
    golden = await Bun.file(join(root, 'models/checkpoints', model, 'golden.json')).json()
  })

  test('golden prompts have the golden ids', () => {
    expect(golden.cases.length).toBe(3)
    for (const { prompt, ids } of golden.cases) {
      expect(tokenizer.encode(prompt)).toEqual(ids)
      expect(tokenizer.decode(ids)).toBe(prompt)
    }
  })

  test('golden continuations keep the space after the prompt', () => {
    for (const { ids, greedy_ids, greedy_text } of golden.cases) {
      expect(tokenizer.decode(greedy_ids, { after: ids })).toBe(greedy_text)
    }
    expect(golden.cases[0].greedy_text).toStartWith(' ')
    expect(tokenizer.decode(golden.cases[0].greedy_ids)).toStartWith('there')
  })

  test.skipIf(!existsSync(heldout))('held-out text has the golden ids', async () => {
    const text = await Bun.file(heldout).text()
    const ids = tokenizer.encode(text)
    expect(ids.length).toBe(46_562)
    expect(ids.slice(0, 513)).toEqual(golden.long.ids)
    expect(tokenizer.decode(ids) === text).toBe(true)
  })
})

describe('tales tokenizer', () => {
  let tokenizer: Tokenizer

  beforeAll(async () => {
    tokenizer = await open('tales-gla-5m')
  })

  test('size and special tokens', () => {
    expect(tokenizer.vocabSize).toBe(4096)
    expect(tokenizer.bosTokenId).toBe(1)
    expect(tokenizer.eosTokenId).toBe(2)
    expect(tokenizer.id('▁the')).toBe(tokenizer.encode('the')[1])
    expect(tokenizer.id('no such token')).toBeUndefined()
    expect([0, 1, 2, 3, 4096].filter((id) => tokenizer.isSpecial(id))).toEqual([0, 1, 2])
  })

  // Ids by the Rust library, tokenizers 0.22.2.
  test.each<[string, number[]]>([
    ['', [1]],
    ['a', [1, 361]],
    [' a', [1, 358, 361]],
    ['  two  spaces ', [1, 358, 358, 770, 358, 548, 739, 397, 358]],
    ['\n\n\n', [1, 358, 259, 259, 259]],
    ['\t tab\r\n', [1, 358, 12, 359, 599, 16, 259]],
    ['\x00\x01\x7f', [1, 358, 3, 4, 130]],
    ['\u0085x\u00a0y', [1, 358, 197, 136, 340, 197, 163, 341]],
    ['\ufeffBOM\ufeff', [1, 358, 242, 190, 194, 288, 301, 299, 242, 190, 194]],
    ['e\u0301 é', [1, 419, 207, 132, 358, 351]],
    ['🇫🇷', [1, 358, 243, 162, 138, 174, 243, 162, 138, 186]],
    ['漢字', [1, 358, 233, 191, 165, 232, 176, 154]],
    ['<0x41>', [1, 358, 63, 273, 340, 277, 274, 65]],
  ])('%j has the ids of the Rust library and survives', (text, ids) => {
    expect(tokenizer.encode(text)).toEqual(ids)
    expect(tokenizer.decode(ids)).toBe(text)
    expect(tokenizer.encode(text, { addSpecialTokens: false })).toEqual(ids.slice(1))
  })

  test.each([
    '👩‍👩‍👧‍👦 family, 🏳️‍🌈 flag, 👍🏽 thumb',
    '漢字かな交じり文、한국어, עברית, العربية',
    'ﬁ ﷽ Å Å ½ ² \u180e\u200b\u2028\u2029\u3000.',
    '   \n \t\n   leading',
    'trailing   \n ',
    '\x1b[31m\x07\b\v\f',
    `${'a'.repeat(1000)} ${' '.repeat(1000)}`,
    '\ufffd',
    '𝒳𐍈',
  ])('%j survives', (text) => {
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
  })

  // Ids by the Rust library, tokenizers 0.22.2.
  test.each<[string, number[], string, string]>([
    ['<s>', [1, 1], '', '<s><s>'],
    ['a<s>b', [1, 361, 1, 371], 'a b', '<s> a<s> b'],
    ['</s> x', [1, 2, 358, 358, 340], ' x', '<s></s>  x'],
  ])('%j spells a special token and becomes it', (text, ids, skipped, shown) => {
    expect(tokenizer.encode(text)).toEqual(ids)
    expect(tokenizer.decode(ids)).toBe(skipped)
    expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(shown)
  })

  test('an unpaired surrogate becomes U+FFFD', () => {
    expect(tokenizer.decode(tokenizer.encode('a\ud83d b'))).toBe('a\ufffd b')
  })

  test('bytes and display of single tokens', () => {
    const once = tokenizer.id('▁once')!
    expect(new TextDecoder().decode(tokenizer.bytes(once))).toBe(' once')
    expect(tokenizer.display(once)).toBe(' once')
    expect([...tokenizer.bytes(3 + 0xe4)]).toEqual([0xe4])
    expect(tokenizer.display(3 + 0xe4)).toBe('bytes:\\xe4')
    expect(tokenizer.display(3 + 0x0a)).toBe('\n')
    expect(tokenizer.display(2)).toBe('</s>')
    expect(tokenizer.bytes(4096).length).toBe(0)
    expect(tokenizer.display(4096)).toBe('')
  })
})

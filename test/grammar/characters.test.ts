// Classes of characters come out of the engine exactly: every class against characters on both sides
// of its ends, through byte tokens only.

import { afterAll, describe, expect, test } from 'bun:test'
import {
  ALL,
  charactersOf,
  codePoints,
  contains,
  difference,
} from '../../src/grammar/code-points.ts'
import { isPartOfText } from '../../src/grammar/utf8-gate.ts'
import { utf8Sequences } from '../../src/grammar/utf8-ranges.ts'
import { openTestGrammars, tokensOf } from './walk.ts'

/** One token for each byte, and an end token. */
const bytes = {
  vocabSize: 257,
  bytes: (id: number) => (id === EOS_BYTE ? new Uint8Array() : Uint8Array.of(id)),
  isSpecial: (id: number) => id === EOS_BYTE,
}
const EOS_BYTE = 256
const grammars = openTestGrammars({ tokenizer: bytes, vocabSize: 257, eosTokenIds: [EOS_BYTE] })

afterAll(() => grammars[Symbol.dispose]())

const CLASSES = ['[a-z]', '[^a]', '[^"\\\\\\x00-\\x1f]', '[à-ü]', '[^é]', '[一-龥]', '[\\u0080-\\u07ff]', '[\\u0800-\\uffff]', '[\\u{10000}-\\u{10ffff}]', '[\\u{1F600}-\\u{1F64F}a]', '\\S', '\\W', '.', '[\\s\\S]', '[\\x00-\\x7f]', '[^\\x00-\\x7f]', '\\x00', '[\\u00ff-\\u0101]'] // biome-ignore format: a list

const EDGES = [0, 0x09, 0x0a, 0x1f, 0x20, 0x22, 0x5c, 0x60, 0x61, 0x7a, 0x7b, 0x7f, 0x80, 0x9f, 0xa0, 0xa1, 0xdf, 0xe0, 0xe8, 0xe9, 0xea, 0xfc, 0xfd, 0xff, 0x101, 0x102, 0x7ff, 0x800, 0xfff, 0x1000, 0x1fff, 0x200a, 0x2027, 0x202a, 0x3000, 0x4dff, 0x4e00, 0x9fa5, 0x9fa6, 0xcfff, 0xd7ff, 0xe000, 0xfeff, 0xffff, 0x10000, 0x1f5ff, 0x1f600, 0x1f64f, 0x1f650, 0x3ffff, 0x40000, 0xfffff, 0x100000, 0x10ffff] // biome-ignore format: a list

async function isSpelled(pattern: string, spelling: Iterable<number>): Promise<boolean> {
  using guide = (await grammars.compile({ kind: 'regex', pattern }, 'x'))()
  for (const byte of spelling) {
    if (!tokensOf(await guide.allowed()).includes(byte)) return false
    guide.accept(byte)
  }
  return tokensOf(await guide.allowed()).includes(EOS_BYTE)
}

test.each(CLASSES)('%s', async (pattern) => {
  const js = new RegExp(`^${pattern}$`, 'u')
  for (const edge of EDGES) {
    const character = String.fromCodePoint(edge)
    const found = await isSpelled(pattern, Buffer.from(character))
    expect([edge.toString(16), found]).toEqual([edge.toString(16), js.test(character)])
  }
})

describe('what is no UTF-8 is never spelled', () => {
  test.each([
    [[0xc0, 0x80]],
    [[0xc1, 0xbf]],
    [[0xe0, 0x80, 0x80]],
    [[0xe0, 0x9f, 0xbf]],
    [[0xed, 0xa0, 0x80]],
    [[0xf0, 0x8f, 0xbf, 0xbf]],
    [[0xf4, 0x90, 0x80, 0x80]],
    [[0xf5, 0x80, 0x80, 0x80]],
    [[0xff]],
    [[0x80]],
    [[0xe2, 0x80, 0xa8]],
  ])('%j', async (spelling) => {
    for (const pattern of ['[^a]+', '[\\s\\S]+', '[^\\x00-\\x7f]', '\\W']) {
      expect(await isSpelled(pattern, spelling)).toBe(false)
    }
    expect(isPartOfText(Uint8Array.from([0x41, ...spelling]))).toBe(false)
  })
})

test('parts of characters are parts of texts', () => {
  const all = Buffer.from('a é € 😀')
  for (let from = 0; from < all.length; from++) {
    for (let to = from; to <= all.length; to++)
      expect(isPartOfText(all.subarray(from, to))).toBe(true)
  }
})

test('byte sequences of a set are those of its characters', () => {
  const set = codePoints([
    [0x61, 0x61],
    [0x7f0, 0x810],
    [0xfff0, 0x10010],
    [0x10fff0, 0x10ffff],
  ])
  const sequences = utf8Sequences(set)
  const fits = (codePoint: number) => {
    const spelling = Buffer.from(String.fromCodePoint(codePoint))
    return sequences.some(
      (sequence) =>
        sequence.length === spelling.length &&
        sequence.every(([first, last], at) => spelling[at] >= first && spelling[at] <= last),
    )
  }
  for (let codePoint = 0; codePoint <= 0x10ffff; codePoint += codePoint < 0x12000 ? 1 : 997) {
    if (codePoint >= 0xd800 && codePoint < 0xe000) continue
    if (fits(codePoint) !== contains(set, codePoint)) throw new Error(codePoint.toString(16))
  }
})

test('sets', () => {
  const set = codePoints([
    [5, 9],
    [1, 3],
    [4, 4],
    [0xd800, 0xdfff],
  ])
  expect(set).toEqual([[1, 9]])
  expect(difference(set, charactersOf('\u0002\u0009'))).toEqual([
    [1, 1],
    [3, 8],
  ])
  expect(difference(ALL, ALL)).toEqual([])
})

// Ids to text one at a time: random ids, characters split over tokens, and what stands before.

import { beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { Detokenizer } from '../../src/text/detokenizer.ts'
import { Tokenizer } from '../../src/text/tokenizer.ts'
import { gpt2, mistral } from './tiny-tokenizers.ts'

async function open(json: unknown): Promise<Tokenizer> {
  const folder = await mkdtemp(join(tmpdir(), 'glaze-detokenizer-'))
  try {
    const file = join(folder, 'tokenizer.json')
    await Bun.write(file, JSON.stringify(json))
    return await Tokenizer.open(file, undefined)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** The text of whole sequences: all bytes at once through the platform's decoder. */
function wholeText(tokenizer: Tokenizer, ids: readonly number[]): string {
  const bytes = ids
    .filter((id) => !tokenizer.isSpecial(id))
    .flatMap((id) => [...tokenizer.bytes(id)])
  if (tokenizer.stripsLeadingSpace && bytes[0] === 0x20) bytes.shift()
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes))
}

function pieces(tokenizer: Tokenizer, ids: readonly number[], after?: readonly number[]): string[] {
  const detokenizer = new Detokenizer(tokenizer, { after })
  return [...ids.map((id) => detokenizer.push(id)), detokenizer.finish()]
}

describe.each<[string, unknown, (byte: number) => number]>([
  ['byte-fallback', mistral(), (byte) => byte + 3],
  ['byte-level', gpt2(), (byte) => byte],
])('%s tokens', (_, json, idOf) => {
  let tokenizer: Tokenizer
  const idsOf = (...bytes: number[]) => bytes.map(idOf)
  // Bytes where UTF-8 has its borders, so that good and broken characters are both common.
  const borders = [0x20, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf]
  const more = [0xe0, 0xe4, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff, 0xbb, 0xbd]
  const byteId = fc.constantFrom(...borders, ...more).map(idOf)
  const sequences = fc.array(fc.oneof(byteId, fc.nat({ max: 300 })), { maxLength: 24 })

  beforeAll(async () => {
    tokenizer = await open(json)
  })

  test('pieces of random ids join to the text of the whole sequence', () => {
    fc.assert(
      fc.property(sequences, (ids) => {
        expect(pieces(tokenizer, ids).join('')).toBe(wholeText(tokenizer, ids))
        expect(tokenizer.decode(ids)).toBe(wholeText(tokenizer, ids))
      }),
      { seed: 1, numRuns: 3000 },
    )
  })

  test('at most the beginning of one character is held back', () => {
    fc.assert(
      fc.property(sequences, (ids) => {
        const detokenizer = new Detokenizer(tokenizer)
        let text = ''
        for (const [index, id] of ids.entries()) {
          text += detokenizer.push(id)
          const whole = wholeText(tokenizer, ids.slice(0, index + 1))
          if (text !== whole) expect(`${text}\ufffd`).toBe(whole)
        }
      }),
      { seed: 2, numRuns: 1000 },
    )
  })

  test('text after a prompt is what it adds to the text of the prompt', () => {
    fc.assert(
      fc.property(sequences, sequences, (prompt, ids) => {
        const before = wholeText(tokenizer, prompt)
        const all = wholeText(tokenizer, [...prompt, ...ids])
        // A character split over the border shows as U+FFFD in the prompt and whole after it.
        const start = all.startsWith(before) ? before.length : before.length - 1
        expect(all.slice(0, start)).toBe(before.slice(0, start))
        expect(pieces(tokenizer, ids, prompt).join('')).toBe(all.slice(start))
      }),
      { seed: 3, numRuns: 3000 },
    )
  })

  test('a character appears with its last byte', () => {
    expect(pieces(tokenizer, idsOf(0xf0, 0x9f, 0x98, 0x80, 0x41))).toEqual([
      '',
      '',
      '',
      '😀',
      'A',
      '',
    ])
  })

  test.each<[string, number[], string[]]>([
    ['the end', [0xf0, 0x9f, 0x98], ['', '', '', '\ufffd']],
    ['a letter', [0xe4, 0xbd, 0x41], ['', '', '\ufffdA', '']],
    ['a new character', [0xe4, 0xbd, 0xc3, 0xa9], ['', '', '\ufffd', 'é', '']],
    ['a byte that cannot follow', [0xe0, 0x80], ['', '\ufffd\ufffd', '']],
    ['a byte that is never used', [0xff, 0xc0], ['\ufffd', '\ufffd', '']],
    ['nothing', [0x80], ['\ufffd', '']],
  ])('a character broken off by %s becomes U+FFFD', (_, bytes, expected) => {
    expect(pieces(tokenizer, idsOf(...bytes))).toEqual(expected)
  })

  test('a byte order mark is text', () => {
    expect(tokenizer.decode(idsOf(0xef, 0xbb, 0xbf, 0x41))).toBe('\ufeffA')
  })

  test('ids without a token and special tokens add nothing, even within a character', () => {
    const end = tokenizer.id('<|end|>') ?? 2
    expect(pieces(tokenizer, [idOf(0xc3), end, 9999, idOf(0xa9)])).toEqual(['', '', '', 'é', ''])
    const shown = new Detokenizer(tokenizer, { skipSpecialTokens: false })
    expect([idOf(0xc3), end, idOf(0xa9)].map((id) => shown.push(id)).join('|')).toBe(
      `|\ufffd${tokenizer.display(end)}|\ufffd`,
    )
  })

  test('a prompt that ends within a character lends its bytes once', () => {
    expect(pieces(tokenizer, idsOf(0xa9, 0xa9), idsOf(0xc3))).toEqual(['é', '\ufffd', ''])
    expect(pieces(tokenizer, idsOf(0x41), idsOf(0xc3))).toEqual(['A', ''])
    expect(pieces(tokenizer, idsOf(0x80), idsOf(0xf0, 0x9f, 0x98))).toEqual(['😀', ''])
    expect(pieces(tokenizer, [], idsOf(0xc3))).toEqual([''])
  })
})

test('only the first space of a text is dropped', async () => {
  const tokenizer = await open(mistral())
  const space = tokenizer.id('▁')!
  const hello = tokenizer.id('▁hello')!
  const bos = 1
  expect(pieces(tokenizer, [bos, hello, hello])).toEqual(['', 'hello', ' hello', ''])
  expect(pieces(tokenizer, [space, hello])).toEqual(['', ' hello', ''])
  expect(pieces(tokenizer, [hello], [bos])).toEqual(['hello', ''])
  expect(pieces(tokenizer, [hello], [bos, hello])).toEqual([' hello', ''])
  expect(pieces(tokenizer, [hello], [bos, space])).toEqual([' hello', ''])
})

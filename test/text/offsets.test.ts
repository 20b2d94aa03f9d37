// Where in the text each token begins, and texts that keep stop strings, special tokens, or what was
// said before the least length.

import { beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import fc from 'fast-check'
import { OutputText, type OutputTextOptions } from '../../src/text/output-text.ts'
import { Tokenizer } from '../../src/text/tokenizer.ts'

const folder = join(import.meta.dir, '../../models/checkpoints/tales-gla-5m')
const EOS = 2
let tokenizer: Tokenizer

beforeAll(async () => {
  tokenizer = await Tokenizer.open(join(folder, 'tokenizer.json'), undefined)
})

/** Token that is this byte. */
const byte = (value: number) => value + 3
const codePoints = (text: string) => [...text].length

function generate(
  ids: readonly number[],
  options: OutputTextOptions & { before?: readonly number[]; end?: number } = {},
) {
  const output = new OutputText(tokenizer, options.before ?? [1], options)
  const offsets: number[] = []
  let text = ''
  for (const id of ids) {
    const piece = output.push(id)
    text += piece.text
    offsets.push(piece.offset)
    if (piece.stopped !== undefined) return { text, offsets, stopped: piece.stopped }
  }
  if (options.end === undefined) {
    const rest = output.finish()
    return { text: text + rest.text, offsets, stopped: rest.stopped }
  }
  const piece = output.finishAt(options.end)
  return { text: text + piece.text, offsets: [...offsets, piece.offset], stopped: piece.stopped }
}

/**
 * The place of each token's first byte, from the whole text: code points that are over before it,
 * seen by what a byte that fits nowhere would add if it came in its place.
 */
function placeOf(ids: readonly number[], index: number): number {
  const bytes = (some: readonly number[]) => some.flatMap((id) => [...tokenizer.bytes(id)])
  const before = bytes(ids.slice(0, index))
  const decode = (some: number[]) => new TextDecoder().decode(Uint8Array.from(some))
  const [first] = tokenizer.bytes(ids[index])
  return codePoints(decode([...before, first])) - 1
}

describe('offsets', () => {
  test('of random ids are the code points before the character that each begins in or goes on', () => {
    const borders = [0x41, 0x80, 0x9f, 0xa0, 0xbf, 0xc0, 0xc3, 0xe0, 0xe4, 0xed, 0xf0, 0xf4, 0xff]
    const id = fc.oneof(
      fc.constantFrom(...borders).map(byte),
      fc.integer({ min: byte(0x21), max: 4095 }),
    )
    fc.assert(
      fc.property(fc.array(id, { maxLength: 20 }), (ids) => {
        // A letter first: nothing is stripped after it.
        const all = [byte(0x41), ...ids]
        const expected = all.map((_, i) => placeOf(all, i))
        expect(generate(all, { before: [1, byte(0x41)] }).offsets).toEqual(expected)
      }),
      { seed: 1, numRuns: 3000 },
    )
  })

  test.each<[string, number[], number[], number[]]>([
    ['whole characters', [0x41, 0x42], [], [0, 1]],
    ['a character of four tokens', [0x41, 0xf0, 0x9f, 0x98, 0x80, 0x42], [], [0, 1, 1, 1, 1, 2]],
    ['a character that is broken off', [0xe4, 0xbd, 0x41], [], [0, 0, 1]],
    ['one broken off by the beginning of another', [0xe4, 0xc3, 0xa9], [], [0, 1, 1]],
    ['bytes that belong to none', [0x80, 0xff, 0x41], [], [0, 1, 2]],
    ['a character begun in the prompt', [0xa9, 0x41], [0xc3], [0, 1]],
    ['a character broken off in the prompt', [0x41, 0x42], [0xe4], [0, 1]],
  ])('%s', (_, bytes, before, expected) => {
    expect(generate(bytes.map(byte), { before: [1, ...before.map(byte)] }).offsets).toEqual(
      expected,
    )
  })

  test('go on behind a special token and a space that is stripped', () => {
    const [hello] = tokenizer.encode('the', { addSpecialTokens: false })
    const bytes = tokenizer.bytes(hello).length
    // The first word loses its space, the second one keeps it.
    expect(generate([hello, EOS, hello, hello]).offsets).toEqual([
      0,
      bytes - 1,
      bytes - 1,
      2 * bytes - 1,
    ])
  })

  test('count text that stop strings hold back or cut off', () => {
    const ids = [...'abcdef'].map((letter) => byte(letter.charCodeAt(0)))
    const { text, offsets } = generate(ids, { stop: ['bcde'] })
    expect(text).toBe('a')
    expect(offsets).toEqual([0, 1, 2, 3, 4])
  })

  test('an ending token stands behind all of the text', () => {
    expect(generate([byte(0x41), byte(0xe4)], { end: EOS }).offsets).toEqual([0, 1, 2])
    const kept = { end: EOS, includeStop: true, skipSpecialTokens: false }
    expect(generate([byte(0x41)], kept)).toMatchObject({ text: 'A</s>', offsets: [0, 1] })
  })
})

describe('what is kept', () => {
  const letters = (text: string) => [...text].map((letter) => byte(letter.charCodeAt(0)))

  test('special tokens, if they are not to be skipped', () => {
    const ids = [...letters('a'), EOS, ...letters('b')]
    expect(generate(ids).text).toBe('ab')
    expect(generate(ids, { skipSpecialTokens: false }).text).toBe('a</s>b')
    expect(generate(ids, { skipSpecialTokens: false, stop: ['/s'] }).text).toBe('a<')
  })

  test('an ending token is text only together with stop strings', () => {
    const [b] = letters('b')
    expect(generate(letters('a'), { end: b }).text).toBe('a')
    expect(generate(letters('a'), { end: b, includeStop: true }).text).toBe('ab')
    expect(generate(letters('a'), { end: EOS, includeStop: true }).text).toBe('a')
    expect(generate(letters('a'), { end: EOS, skipSpecialTokens: false }).text).toBe('a')
  })

  test('a stop string that an ending token completes', () => {
    const [b] = letters('b')
    const options = { end: b, includeStop: true, stop: ['ab'] }
    expect(generate(letters('a'), options)).toMatchObject({ text: 'ab', stopped: 'ab' })
  })

  test('the stop string; nothing needs to be held back for it', () => {
    const output = new OutputText(tokenizer, [1], { stop: ['bcd'], includeStop: true })
    const pieces = letters('abcde').map((id) => output.push(id))
    expect(pieces.map(({ text }) => text)).toEqual(['a', 'b', 'c', 'd', ''])
    expect(pieces[3].stopped).toBe('bcd')
  })

  test.each<[string, string[], number, string, string | undefined]>([
    ['abcabc', ['abc'], 0, '', 'abc'],
    ['abcabc', ['abc'], 2, '', 'abc'],
    ['abcabc', ['abc'], 3, 'abc', 'abc'],
    ['abcabc', ['abc'], 5, 'abc', 'abc'],
    ['abcabc', ['abc'], 6, 'abcabc', undefined],
    ['aaaa', ['aa'], 2, 'a', 'aa'],
    ['abab', ['b', 'aba'], 2, '', 'aba'],
  ])('of %j with stops %j and at least %p tokens: %j', (text, stop, minTokens, kept, stopped) => {
    const expected = { text: kept, stopped }
    expect(generate(letters(text), { stop, minTokens })).toMatchObject(expected)
  })

  test('random texts end at the first stop string that is completed late enough', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 16 })
    const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1 }), {
      minLength: 1,
      maxLength: 3,
    })
    fc.assert(
      fc.property(text, stops, fc.nat(10), fc.boolean(), (all, stop, minTokens, includeStop) => {
        const longest = stop.toSorted((a, b) => b.length - a.length)
        let end = minTokens + 1
        let found: string | undefined
        for (; end <= all.length && found === undefined; end++) {
          found = longest.find((each) => all.slice(0, end).endsWith(each))
        }
        const result = generate(letters(all), { stop, minTokens, includeStop })
        expect(result.stopped).toBe(found)
        const cut = end - 1 - (includeStop ? 0 : (found?.length ?? 0))
        expect(result.text).toBe(found === undefined ? all : all.slice(0, cut))
      }),
      { seed: 2, numRuns: 2000 },
    )
  })

  test('an unfinished character within the least length is no stop string', () => {
    const options = { stop: ['\ufffd'], minTokens: 1 }
    expect(generate([byte(0xe4)], options)).toMatchObject({ text: '\ufffd', stopped: undefined })
    expect(generate([byte(0xe4), byte(0xe4)], options)).toMatchObject({
      text: '',
      stopped: '\ufffd',
    })
  })
})

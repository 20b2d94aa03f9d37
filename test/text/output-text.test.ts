// The text of a generation as it is sent: the shipped tokenizer, stop strings and split characters.

import { beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import fc from 'fast-check'
import { OutputText } from '../../src/text/output-text.ts'
import { Tokenizer } from '../../src/text/tokenizer.ts'

const folder = join(import.meta.dir, '../../models/checkpoints/tales-gla-5m')
let tokenizer: Tokenizer
let prompt: number[]
let ids: number[]
let text: string

beforeAll(async () => {
  tokenizer = await Tokenizer.open(join(folder, 'tokenizer.json'), undefined)
  const golden = await Bun.file(join(folder, 'golden.json')).json()
  prompt = golden.cases[0].ids
  ids = golden.cases[0].greedy_ids
  text = golden.cases[0].greedy_text
})

function generate(generated: readonly number[], stop: string[] = [], before = prompt) {
  const output = new OutputText(tokenizer, before, { stop })
  const pieces: string[] = []
  for (const [index, id] of generated.entries()) {
    const { text: piece, stopped } = output.push(id)
    pieces.push(piece)
    if (stopped !== undefined) return { pieces, text: pieces.join(''), stopped, tokens: index + 1 }
  }
  const { text: piece, stopped } = output.finish()
  pieces.push(piece)
  return { pieces, text: pieces.join(''), stopped, tokens: generated.length }
}

test('without stop strings every whole token is sent at once', () => {
  const { pieces } = generate(ids)
  expect(pieces.join('')).toBe(text)
  expect(pieces.slice(0, 3)).toEqual([' there', ' was', ' a'])
  expect(pieces.at(-1)).toBe('')
})

test('a stop string anywhere ends the text before it, at the token that completes it', () => {
  for (let start = 0; start < text.length; start++) {
    for (const length of [1, 2, 5, 12, text.length]) {
      const stop = text.slice(start, start + length)
      const result = generate(ids, [stop])
      expect(result.stopped).toBe(stop)
      expect(result.text).toBe(text.slice(0, text.indexOf(stop)))
      const end = text.indexOf(stop) + stop.length
      expect(generate(ids.slice(0, result.tokens)).text.length).toBeGreaterThanOrEqual(end)
      expect(generate(ids.slice(0, result.tokens - 1)).text.length).toBeLessThan(end)
    }
  }
})

test('what only looked like a stop string is sent at the end', () => {
  const { text: result, stopped } = generate(ids, [`${text} and`, 'she was so happy'])
  expect(stopped).toBeUndefined()
  expect(result).toBe(text)
})

test('random ids and stop strings: the whole text, cut at the first stop string', () => {
  const id = fc.oneof(fc.integer({ min: 3, max: 258 }), fc.nat({ max: 4100 }))
  const sequences = fc.array(id, { maxLength: 20 })
  fc.assert(
    fc.property(sequences, sequences, fc.nat(), fc.integer({ min: 1, max: 6 }), (...args) => {
      const [before, generated, place, length] = args
      const whole = tokenizer.decode(generated, { after: before })
      const start = place % (whole.length + 1)
      const stop = whole.slice(start, start + length) || 'never there'
      const end = whole.indexOf(stop)
      const result = generate(generated, [stop], before)
      expect(result.text).toBe(end < 0 ? whole : whole.slice(0, end))
      expect(result.stopped).toBe(end < 0 ? undefined : stop)
    }),
    { seed: 1, numRuns: 3000 },
  )
})

test('a stop string may be made of bytes of several tokens', () => {
  const emoji = [0xf0, 0x9f, 0x91, 0x8d].map((byte) => byte + 3)
  const done = tokenizer.encode('done 👍', { addSpecialTokens: false })
  expect(done.slice(-4)).toEqual(emoji)
  expect(generate([...done, ...done], ['👍'])).toMatchObject({ text: ' done ', stopped: '👍' })
})

test('a character that is never finished can complete a stop string', () => {
  expect(generate([3 + 0xe4], ['\ufffd'])).toMatchObject({ text: '', stopped: '\ufffd' })
})

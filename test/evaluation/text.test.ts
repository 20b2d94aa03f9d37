// How a text is cut into windows, and how their scores become figures.
import { describe, expect, test } from 'bun:test'
import type { LoadedModel } from '../../src/engine/load.ts'
import { cutWindows, textTask } from '../../src/evaluation/text.ts'
import { scoringEngine } from './scoring-engine.ts'

describe('windows', () => {
  test.each<[number, number, number[][]]>([
    [
      7,
      3,
      [
        [0, 1, 2, 3],
        [3, 4, 5, 6],
      ],
    ],
    [
      9,
      3,
      [
        [0, 1, 2, 3],
        [3, 4, 5, 6],
      ],
    ],
    [
      10,
      3,
      [
        [0, 1, 2, 3],
        [3, 4, 5, 6],
        [6, 7, 8, 9],
      ],
    ],
    [3, 8, [[0, 1, 2]]],
    [2, 1, [[0, 1]]],
  ])('%d ids in windows of %d', (count, length, windows) => {
    const ids = Array.from({ length: count }, (_, i) => i)
    expect(cutWindows(ids, length)).toEqual(windows)
  })
})

/** Letters are tokens of one byte, 1 begins and 2 ends a text. */
const tokenizer = {
  eosTokenId: 2,
  encode: (text: string) => [1, ...Array.from(text, (letter) => letter.charCodeAt(0))],
  isSpecial: (id: number) => id < 3,
  bytes: (id: number) => Uint8Array.of(id),
}

function modelOf(logprobOf: (id: number) => number) {
  const { engine } = scoringEngine(logprobOf)
  const generationConfig = { eosTokenIds: [] }
  return { engine, tokenizer, generationConfig } as unknown as LoadedModel
}

test('perplexity, nats and bits of a text', async () => {
  const shown: [number, number][] = []
  const task = textTask({ file: 'f', text: 'abcdef', window: 7 })
  const figures = await task.run(
    modelOf(() => -1),
    (done, total) => shown.push([done, total]),
  )
  // Six letters and the end.
  expect(figures).toMatchObject({ tokens: 7, natsPerToken: 1, perplexity: Math.E })
  expect(figures.bitsPerByte).toBeCloseTo(7 / Math.LN2 / 6, 12)
  expect(figures.tokensPerSecond).toBeGreaterThan(0)
  expect(shown).toEqual([[7, 7]])
})

test('the first tokens only', async () => {
  const task = textTask({ file: 'f', text: 'abcdef', window: 2, tokens: 5 })
  const figures = await task.run(
    modelOf((id) => -id),
    () => {},
  )
  const letters = [...'abcd'].map((letter) => letter.charCodeAt(0))
  expect(figures.tokens).toBe(4)
  expect(figures.natsPerToken).toBe(letters.reduce((a, b) => a + b) / 4)
  expect(task.report).toEqual({ text: 'f', window: 2, tokens: 5 })
})

test('a text of nothing is refused', async () => {
  const none = { ...modelOf(() => -1), tokenizer: { ...tokenizer, eosTokenId: undefined } }
  const run = textTask({ file: 'f', text: '' }).run(none as unknown as LoadedModel, () => {})
  await expect(run).rejects.toThrow('--text f: holds no tokens that could be predicted')
})

test('a window that the model cannot take is refused before it is loaded', () => {
  const { check } = textTask({ file: 'f', text: '', window: 64 })
  const files = (maxLength: number | undefined) => ({ maxLength }) as Parameters<typeof check>[0]
  expect(() => check(files(64))).toThrow('are 65 tokens, the model takes 64 (--max-model-len)')
  check(files(65))
  check(files(undefined))
})

test('rows are compared with the first; other tokenizers are noted', () => {
  const { columns, notes } = textTask({ file: 'f', text: '' })
  const row = (tokens: number, perplexity: number) => ({
    ...{ tokens, perplexity, natsPerToken: Math.log(perplexity) },
    ...{ bitsPerByte: 1, tokensPerSecond: 100 },
  })
  const change = columns.find(({ title }) => title === 'change')!
  expect(change.cell(row(9, 33), row(9, 30))).toBe('+10.00 %')
  expect(change.cell(row(9, 27), row(9, 30))).toBe('-10.00 %')
  expect(notes([row(9, 30), row(9, 31)])).toEqual([])
  expect(notes([row(9, 30), row(8, 31)])[0]).toContain('compare bits/byte')
})

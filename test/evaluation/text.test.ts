// How a text is cut into windows, and how their scores become figures.
import { describe, expect, test } from 'bun:test'
import { ConfigError } from '../../src/errors.ts'
import type { Reader, ShowProgress } from '../../src/evaluation/task.ts'
import { cutWindows, textTask } from '../../src/evaluation/text.ts'
import { BOS, EOS, type LettersOptions, lettersReader } from './letters.ts'
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

const begins: LettersOptions = { before: [BOS], bosTokenId: BOS, eosTokenId: EOS }
const input = { file: 'f', sha256: 'x' }

/** Measures with a model of the tokenizer, each token at a given log-probability. */
function measure(
  task: ReturnType<typeof textTask>,
  reader: Reader,
  logprobOf: (id: number) => number = () => -1,
  show: ShowProgress = () => {},
) {
  const { engine } = scoringEngine(logprobOf)
  return task.prepare(reader)({ engine, plan: { slots: 1 } }, show)
}

test('perplexity, nats and bits of a text', async () => {
  const shown: [number, number][] = []
  const task = textTask({ ...input, text: 'abcdef', window: 7 })
  const { figures, samples } = await measure(
    task,
    lettersReader(begins),
    () => -1,
    (done, total) => shown.push([done, total]),
  )
  // Six letters and the end.
  expect(figures).toMatchObject({ tokens: 7, bytes: 6, leftOut: 0 })
  expect(figures).toMatchObject({ natsPerToken: 1, perplexity: Math.E })
  expect(figures.bitsPerByte).toBeCloseTo(7 / Math.LN2 / 6, 12)
  expect(figures.tokensPerSecond).toBeGreaterThan(0)
  expect(shown).toEqual([[7, 7]])
  expect(samples).toEqual([])
})

test('the first tokens only; what fills no window is counted', async () => {
  const task = textTask({ ...input, text: 'abcdéf', window: 2, tokens: 6 })
  const { figures } = await measure(task, lettersReader(begins), (id) => -id)
  const letters = [...'abcd'].map((letter) => letter.charCodeAt(0))
  expect(figures).toMatchObject({ tokens: 4, bytes: 4, leftOut: 1 })
  expect(figures.natsPerToken).toBe(letters.reduce((a, b) => a + b) / 4)
  expect(task.report).toEqual({ text: 'f', sha256: 'x', window: 2, tokens: 6 })
  const whole = textTask({ ...input, text: 'abcdéf', window: 3 })
  const rest = await measure(whole, lettersReader({ ...begins, eosTokenId: undefined }))
  expect(rest.figures).toMatchObject({ tokens: 6, bytes: 7, leftOut: 0 })
})

describe('a text of nothing is refused', () => {
  test('before there is a model', () => {
    expect(() => textTask({ ...input, text: '' })).toThrow('--text f: is empty')
  })

  test.each<[string, string, LettersOptions]>([
    // What stands around a text would be predicted alone.
    ['white space without tokens', ' \n ', { ...begins, dropped: /\s/g }],
    ['white space, an end that is spelled', ' ', { before: [BOS], eosTokenId: 99, dropped: / /g }],
    ['one token that nothing stands before', 'a', {}],
    ['one token that only the end follows', 'a', { eosTokenId: EOS }],
    ['special tokens', '<s><s>', { ...begins, merged: { '<s>': BOS } }],
  ])('%s', (_, text, options) => {
    const prepare = () => textTask({ ...input, text }).prepare(lettersReader(options))
    expect(prepare).toThrow(ConfigError)
    expect(prepare).toThrow('--text f: holds no tokens that')
  })

  test('but not white space that has tokens', async () => {
    const { figures } = await measure(textTask({ ...input, text: ' \n' }), lettersReader(begins))
    expect(figures).toMatchObject({ tokens: 3, bytes: 2 })
  })
})

test('a window that the model cannot take is refused before it is loaded', () => {
  const { prepare } = textTask({ ...input, text: 'abc', window: 64 })
  const reader = (maxLength: number | undefined) => lettersReader({ ...begins, maxLength })
  expect(() => prepare(reader(64))).toThrow('are 65 tokens, the model takes 64 (--max-model-len)')
  prepare(reader(65))
  prepare(reader(undefined))
})

describe('rows of a table', () => {
  const task = () => textTask({ ...input, text: 'abcdefgh', window: 2 })
  const change = task().columns.find(({ title }) => title === 'change')!

  test('are compared with the first', async () => {
    const text = task()
    const row = await measure(text, lettersReader(begins), () => -1)
    const other = await measure(text, lettersReader(begins), () => -1.1)
    const rows = [row.figures, other.figures]
    expect(change.cell(rows[1], rows[0])).toBe('+10.52 %')
    expect(change.cell(rows[0], rows[1])).toBe('-9.52 %')
    expect(text.notes(rows)).toEqual(['1 token at the end fills no window of 2 and was left out.'])
  })

  test('unless their tokens are others, though they are as many', async () => {
    const text = task()
    const merged = { abc: 0x4e2d }
    const first = await measure(text, lettersReader({ before: [BOS] }))
    const others = [
      await measure(text, lettersReader({ ...begins, merged })),
      await measure(text, lettersReader({ before: [EOS] })),
      await measure(text, lettersReader({ before: [BOS] })),
    ].map(({ figures }) => figures)
    const rows = [first.figures, ...others]
    expect(rows.map(({ tokens }) => tokens)).toEqual([8, 6, 8, 8])
    expect(rows.map(({ bytes }) => bytes)).toEqual([8, 8, 8, 8])
    expect(rows.map((row) => change.cell(row, rows[0]))).toEqual(['+0.00 %', '-', '-', '+0.00 %'])
    expect(text.notes(rows).at(-1)).toContain('different tokens: compare bits/byte')
    expect(text.notes([rows[0], rows[3]])).toEqual([])
    expect(text.notes([rows[0], rows[2]])).toHaveLength(1)
  })

  test.each<[number[], string[]]>([
    [[0, 0], []],
    [[5, 5], ['5 tokens at the end fill no window of 2 and were left out.']],
    [[1], ['1 token at the end fills no window of 2 and was left out.']],
    [[3, 0], ['Up to 3 tokens at the end fill no window of 2 and were left out.']],
  ])('tokens left out: %j', (counts, notes) => {
    const rows = counts.map((leftOut) => ({ ...figuresOfNothing, leftOut }))
    expect(task().notes(rows)).toEqual(notes)
  })
})

const figuresOfNothing = {
  ...{ tokens: 2, bytes: 2, leftOut: 0, sameTokens: true },
  ...{ natsPerToken: 1, perplexity: Math.E, bitsPerByte: 1, tokensPerSecond: 100 },
}

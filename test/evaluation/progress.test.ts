// What is shown of a measurement, on a terminal and in a log.
import { expect, test } from 'bun:test'
import { EvalProgress } from '../../src/evaluation/progress.ts'

/** @param columns of a terminal; undefined: no terminal */
function progressOf(columns: number | undefined, label = 'm none') {
  let time = 5000
  const lines: string[] = []
  const isTTY = columns !== undefined
  const stream = { isTTY, columns: columns ?? 0, write: (text: string) => lines.push(text) > 0 }
  const progress = new EvalProgress(label, 'tokens', stream, () => time)
  const at = (milliseconds: number, done: number) => {
    time = 5000 + milliseconds
    progress.show(done, 1000, 'perplexity 30')
  }
  return { progress, at, lines }
}

test('on a terminal one line is written over, and removed at the end', () => {
  const { progress, at, lines } = progressOf(120)
  at(100, 100)
  expect(lines).toEqual([])
  // The time before the first result counts: results come in groups.
  at(2000, 300)
  expect(lines).toEqual([
    '\r\x1b[Km none  ███████░░░░░░░░░░░░░░░░░  300 of 1000 tokens, 150/s, 5 s left, perplexity 30',
  ])
  at(2150, 400)
  expect(lines).toHaveLength(1)
  progress[Symbol.dispose]()
  expect(lines[1]).toBe('\r\x1b[K')
})

const figures = '300 of 1000 tokens, 150/s, 5 s left, perplexity 30'

test.each<[number, string]>([
  [85, 'm none  ███████░░░░░░░░░░░░░░░░░  300 of 1000 tokens, 150/s, 5 s left, perplexity 30'],
  [84, `m none  ${figures}`],
  [59, `m none  ${figures}`],
  [30, 'm none  300 of 1000 tokens, 1'],
  // A terminal that does not know how wide it is has 80.
  [0, `m none  ${figures}`],
])('a terminal of %d columns', (columns, expected) => {
  const { at, lines } = progressOf(columns)
  at(2000, 300)
  expect(lines).toEqual([`\r\x1b[K${expected}`])
})

test('a long name leaves the line as wide as the terminal', () => {
  const { at, lines } = progressOf(80, `${'folder/'.repeat(20)}m none`)
  at(2000, 300)
  expect(lines[0].slice('\r\x1b[K'.length)).toHaveLength(79)
})

test('elsewhere there is a whole line now and then', () => {
  const { progress, at, lines } = progressOf(undefined)
  at(100, 100)
  at(9_900, 500)
  expect(lines).toEqual([])
  at(20_000, 60)
  expect(lines).toEqual(['m none: 60 of 1000 tokens, 3.0/s, 314 s left, perplexity 30\n'])
  progress[Symbol.dispose]()
  expect(lines).toHaveLength(1)
})

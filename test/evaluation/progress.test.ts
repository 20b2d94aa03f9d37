// What is shown of a measurement, on a terminal and in a log.
import { expect, test } from 'bun:test'
import { EvalProgress } from '../../src/evaluation/progress.ts'

function progressOf(isTTY: boolean) {
  let time = 0
  const lines: string[] = []
  const stream = { isTTY, write: (text: string) => lines.push(text) > 0 }
  const progress = new EvalProgress('m none', 'tokens', stream, () => time)
  const at = (milliseconds: number, done: number) => {
    time = milliseconds
    progress.show(done, 1000, 'perplexity 30')
  }
  return { progress, at, lines }
}

test('on a terminal one line is written over, and removed at the end', () => {
  const { progress, at, lines } = progressOf(true)
  at(100, 100)
  expect(lines).toEqual([])
  at(1100, 300)
  expect(lines).toEqual([
    '\r\x1b[Km none  ███████░░░░░░░░░░░░░░░░░  300 of 1000 tokens, 200/s, 4 s left, perplexity 30',
  ])
  at(1150, 400)
  expect(lines).toHaveLength(1)
  progress.end()
  expect(lines[1]).toBe('\r\x1b[K')
})

test('elsewhere there is a whole line now and then', () => {
  const { progress, at, lines } = progressOf(false)
  at(100, 100)
  at(9_900, 500)
  expect(lines).toEqual([])
  at(10_100, 600)
  expect(lines).toEqual(['m none: 600 of 1000 tokens, 50/s, 8 s left, perplexity 30\n'])
  progress.end()
  expect(lines).toHaveLength(1)
})

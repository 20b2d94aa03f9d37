// How a text is cut into windows, and how their scores are added up.
import { describe, expect, test } from 'bun:test'
import { cutWindows, scoreWindows } from '../../src/engine/perplexity.ts'
import type { Engine, Output } from '../../src/engine/request.ts'

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

/** Scores id n with -n; `missing` leaves the scores out. */
function engineOf(missing = false) {
  const seen: number[][] = []
  let [now, most] = [0, 0]
  const engine: Pick<Engine, 'submit'> = {
    submit: ({ id, prompt, maxTokens, promptLogprobs }) => {
      expect(maxTokens).toBe(0)
      expect(promptLogprobs).toBe(0)
      seen.push([...prompt])
      const scores = prompt.map((token, i) =>
        i === 0 ? undefined : { id: token, logprob: -token, top: [] },
      )
      const output: Output = { text: '', tokens: [], promptLogprobs: scores }
      return {
        id,
        promptTokens: prompt.length,
        abort: () => {},
        async *[Symbol.asyncIterator]() {
          most = Math.max(most, ++now)
          await Promise.resolve()
          now--
          yield missing ? { ...output, promptLogprobs: undefined } : output
        },
      }
    },
  }
  return { engine: engine as Engine, seen, most: () => most }
}

test('every id but the first is predicted once, several windows at a time', async () => {
  const { engine, seen, most } = engineOf()
  const windows = cutWindows(
    Array.from({ length: 101 }, (_, i) => i),
    10,
  )
  const progress: number[] = []
  const score = await scoreWindows(engine, windows, ({ tokens }) => progress.push(tokens))
  expect(score).toEqual({ tokens: 100, nats: (100 * 101) / 2 })
  expect(seen).toHaveLength(10)
  expect(most()).toBe(4)
  expect(progress).toEqual(Array.from({ length: 10 }, (_, i) => 10 * (i + 1)))
})

test('a window without scores is an error', async () => {
  const { engine } = engineOf(true)
  expect(scoreWindows(engine, [[1, 2]])).rejects.toThrow('window 0 ended without scores')
})

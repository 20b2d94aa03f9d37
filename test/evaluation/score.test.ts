// Prompts through an engine, and what comes back of them.
import { expect, test } from 'bun:test'
import { scorePrompts } from '../../src/evaluation/score.ts'
import { scoringEngine } from './scoring-engine.ts'

test('every token but the first has its log-probability, several prompts at a time', async () => {
  const { engine, seen, most } = scoringEngine((id) => -id)
  const prompts = Array.from({ length: 10 }, (_, i) => [i, i + 1, i + 2])
  const scores: number[][] = []
  await scorePrompts(engine, prompts, 4, (index, logprobs) => {
    scores[index] = logprobs
  })
  expect(scores).toEqual(prompts.map(([, b, c]) => [-b, -c]))
  expect(seen).toEqual(prompts)
  expect(most()).toBe(4)
})

test('a prompt without scores is an error', async () => {
  const { engine } = scoringEngine(() => undefined)
  const scored = scorePrompts(engine, [[1, 2]], 1, () => {})
  await expect(scored).rejects.toThrow('prompt 0 ended without scores')
})

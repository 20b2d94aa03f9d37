// What becomes of the scores of choices.
import { expect, test } from 'bun:test'
import { choiceTask, figuresOf, rankItems, type Sample } from '../../src/evaluation/choices.ts'
import { promptsOf } from '../../src/evaluation/prompts.ts'
import { BOS, lettersReader } from './letters.ts'
import { scoringEngine } from './scoring-engine.ts'

const reader = lettersReader({ before: [BOS] })

type Question = Pick<Sample, 'query' | 'choices' | 'gold'>

function itemsOf(questions: Question[]) {
  const items = questions.map((question, i) => ({ line: i + 1, ...question }))
  const options = { file: 'f', delimiter: ' ' }
  return { items, prompts: items.map((item) => promptsOf(reader, item, options)) }
}

test('ranking: sums, ties, and lengths', async () => {
  // Each letter costs what it is from a on; spaces are free.
  const { engine, most } = scoringEngine((id) => (id < 97 ? -0 : 96 - id))
  const { items, prompts } = itemsOf([
    // a: -1, b: -2.
    { query: 'q', choices: ['a', 'b'], gold: 0 },
    // aaa: -3 (-1 a letter), b: -2: the longer one wins by letters only.
    { query: 'q', choices: ['aaa', 'b'], gold: 0 },
    // Equal: the first.
    { query: 'q', choices: ['ba', 'ab'], gold: 1 },
  ])
  const shown: [number, number][] = []
  const model = { engine, plan: { slots: 2 } }
  const samples = await rankItems(model, items, prompts, (...args) => shown.push(args))
  const right = { best: 0, bestNorm: 0, right: true, rightNorm: true }
  expect(samples).toEqual([
    { ...items[0], ...right, logLikelihoods: [-1, -2], tokens: [2, 2] },
    { ...items[1], ...right, best: 1, right: false, logLikelihoods: [-3, -2], tokens: [4, 2] },
    {
      ...items[2],
      ...{ ...right, right: false, rightNorm: false },
      ...{ logLikelihoods: [-3, -3], tokens: [3, 3] },
    },
  ])
  expect(shown.map(([done]) => done)).toEqual([1, 2, 3])
  expect(shown.at(-1)).toEqual([3, 1])
  expect(most()).toBe(4)
  const figures = figuresOf(samples)
  expect(figures).toMatchObject({ items: 3, acc: 1 / 3, accNorm: 2 / 3 })
  // Of the values 1, 0, 0: standard deviation sqrt(1/3), over the root of three.
  expect(figures.accStderr).toBeCloseTo(1 / 3, 12)
})

test('characters are code points, and one item has no error', async () => {
  expect(figuresOf([{ right: true, rightNorm: false }])).toEqual({
    ...{ items: 1, acc: 1, accStderr: undefined, accNorm: 0, accNormStderr: undefined },
  })
  const { engine } = scoringEngine((id) => (id > 0xffff ? -2 : -1.5))
  // Two characters of four UTF-16 units for -5.5, two letters for -4.5.
  const { items, prompts } = itemsOf([{ query: 'q', choices: ['😀😀', 'ab'], gold: 1 }])
  const [sample] = await rankItems({ engine, plan: { slots: 1 } }, items, prompts)
  expect(sample.logLikelihoods).toEqual([-5.5, -4.5])
  expect(sample.bestNorm).toBe(1)
})

test('the task: what it prepares, reports, and notes', async () => {
  const { items } = itemsOf([{ query: 'abc', choices: ['d', 'ef'], gold: 1 }])
  const options = { file: '/f', sha256: 'x', items, limit: 1, delimiter: '\n' }
  const task = choiceTask(options)
  expect(task.report).toEqual({ dataset: '/f', sha256: 'x', limit: 1, delimiter: '\n' })
  expect(choiceTask({ ...options, delimiter: undefined }).report).toMatchObject({ delimiter: ' ' })
  const { engine, seen } = scoringEngine((id) => -id)
  const measure = task.prepare({ ...reader, maxLength: 6 })
  const { figures, samples } = await measure({ engine, plan: { slots: 1 } }, () => {})
  const spelled = seen.map((ids) => String.fromCodePoint(...ids))
  expect(spelled).toEqual(['\x01abc\nd', 'abc\nef'])
  expect(figures).toMatchObject({ items: 1, acc: 0, truncated: 1 })
  expect(samples).toMatchObject([{ line: 1, gold: 1, tokens: [2, 3] }])
  expect(task.notes([{ ...figures, truncated: 0 }])).toEqual([])
  expect(task.notes([{ ...figures, truncated: 0 }, figures])).toEqual([
    'Up to 1 choices were cut from the left: they are too long.',
  ])
})

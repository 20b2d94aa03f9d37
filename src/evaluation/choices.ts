// Multiple-choice items ranked by log-likelihood, with the conventions of lm-evaluation-harness: acc and
// acc_norm, and their standard errors.

import { codePoints } from '../code-points.ts'
import type { Item } from './dataset.ts'
import type { Input } from './input.ts'
import { DEFAULT_DELIMITER, type Prompt, promptsOf } from './prompts.ts'
import { scorePrompts } from './score.ts'
import { type Scorer, signed, type Task } from './task.ts'

export interface ChoiceFigures {
  items: number
  /** Share of items whose right choice has the largest log-likelihood. */
  acc: number
  /** Standard error of acc; undefined for a single item. */
  accStderr: number | undefined
  /** The same with each log-likelihood divided by the characters of its choice. */
  accNorm: number
  accNormStderr: number | undefined
  /** Choices that were cut from the left to what the model takes. */
  truncated: number
  itemsPerSecond: number
}

/** What a model made of one item. */
export interface Sample extends Item {
  /** Positions of the largest log-likelihood, plain and by characters; of equal ones, the first. */
  best: number
  bestNorm: number
  right: boolean
  rightNorm: boolean
  /** Sum of the log-probabilities (nats) of each choice's tokens, and how many these are. */
  logLikelihoods: number[]
  tokens: number[]
}

export interface ChoiceOptions extends Pick<Input, 'file' | 'sha256'> {
  items: readonly Item[]
  /** The first items of the file only; these are they. */
  limit?: number
  /** Between query and choice. */
  delimiter?: string
}

/** The task of answering the items of a dataset. */
export function choiceTask(options: ChoiceOptions): Task<ChoiceFigures> {
  const { file, sha256, items, limit, delimiter = DEFAULT_DELIMITER } = options
  return {
    title: `${items.length} items of ${file}, ranked by log-likelihood; figures in percent`,
    unit: 'items',
    report: { dataset: file, sha256, limit, delimiter },
    columns: [
      { title: 'items', cell: (row) => `${row.items}` },
      { title: 'acc', cell: (row) => percent(row.acc) },
      { title: 'stderr', cell: (row) => percent(row.accStderr) },
      { title: 'acc_norm', cell: (row) => percent(row.accNorm) },
      { title: 'stderr', cell: (row) => percent(row.accNormStderr) },
      { title: 'change', cell: (row, first) => signed(100 * (row.acc - first.acc), 2) },
      { title: 'items/s', cell: (row) => row.itemsPerSecond.toFixed(1) },
    ],
    prepare(reader) {
      const prompts = items.map((item) => promptsOf(reader, item, { file, delimiter }))
      const truncated = prompts.flat().filter((prompt) => prompt.truncated).length
      return async (model, show) => {
        const start = performance.now()
        const samples = await rankItems(model, items, prompts, (done, right) => {
          show(done, items.length, `acc ${percent(right / done)}`)
        })
        const seconds = (performance.now() - start) / 1000
        const itemsPerSecond = items.length / seconds
        return { figures: { ...figuresOf(samples), truncated, itemsPerSecond }, samples }
      }
    },
    notes: (rows) => {
      const most = Math.max(...rows.map(({ truncated }) => truncated))
      return most === 0 ? [] : [`Up to ${most} choices were cut from the left: they are too long.`]
    },
  }
}

function percent(value: number | undefined): string {
  return value === undefined ? '-' : (100 * value).toFixed(2)
}

/**
 * Scores all choices of all items, as many at once as there are slots.
 * @param prompts those of each item
 * @param onItem told how many items are done, and how many of them right
 */
export async function rankItems(
  { engine, plan }: Scorer,
  items: readonly Item[],
  prompts: readonly (readonly Prompt[])[],
  onItem: (done: number, right: number) => void = () => {},
): Promise<Sample[]> {
  const flat = prompts.flatMap((each, item) =>
    each.map((prompt, position) => ({ ...prompt, item, position })),
  )
  const sums = items.map((): number[] => [])
  const left = items.map(({ choices }) => choices.length)
  const samples: Sample[] = []
  let [done, right] = [0, 0]
  const ids = flat.map((prompt) => prompt.ids)
  // Choices repeat their query's computation: prompts that are scored take no kept state.
  await scorePrompts(engine, ids, 2 * plan.slots, (index, logprobs) => {
    const { item, position, from } = flat[index]
    // The first token has no log-probability.
    sums[item][position] = logprobs.slice(from - 1).reduce((sum, each) => sum + each, 0)
    if (--left[item] > 0) return
    samples[item] = sampleOf(items[item], sums[item], prompts[item])
    if (samples[item].right) right++
    onItem(++done, right)
  })
  return samples
}

function sampleOf(item: Item, logLikelihoods: number[], prompts: readonly Prompt[]): Sample {
  const { choices, gold } = item
  const byCharacter = logLikelihoods.map((sum, i) => sum / codePoints(choices[i]))
  const [best, bestNorm] = [logLikelihoods, byCharacter].map((each) =>
    each.indexOf(Math.max(...each)),
  )
  const tokens = prompts.map(({ ids, from }) => ids.length - from)
  const answer = { best, bestNorm, right: best === gold, rightNorm: bestNorm === gold }
  return { ...item, ...answer, logLikelihoods, tokens }
}

/** Shares of right answers, with standard errors of a mean. */
export function figuresOf(
  samples: readonly Pick<Sample, 'right' | 'rightNorm'>[],
): Omit<ChoiceFigures, 'truncated' | 'itemsPerSecond'> {
  const items = samples.length
  const stderr = (p: number) => (items < 2 ? undefined : Math.sqrt((p * (1 - p)) / (items - 1)))
  const acc = samples.filter(({ right }) => right).length / items
  const accNorm = samples.filter(({ rightNorm }) => rightNorm).length / items
  return { items, acc, accStderr: stderr(acc), accNorm, accNormStderr: stderr(accNorm) }
}

// Multiple-choice items ranked by log-likelihood, with the conventions of lm-evaluation-harness: which
// tokens are scored, acc and acc_norm, and their standard errors.

import { basename } from 'node:path'
import { codePoints } from '../code-points.ts'
import type { LoadedModel } from '../engine/load.ts'
import type { Engine } from '../engine/request.ts'
import type { Tokenizer } from '../text/tokenizer.ts'
import type { Item } from './dataset.ts'
import { scorePrompts } from './score.ts'
import { signed, type Task } from './task.ts'

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

/** What the model made of one item. */
export interface Verdict {
  item: number
  gold: number
  /** Sum of the log-probabilities (nats) of each choice's tokens. */
  logLikelihoods: number[]
  /** Positions of the largest one, plain and by characters. */
  best: number
  bestNorm: number
}

/** A choice behind its query as token ids, of which those from `from` on are scored. */
interface Prompt {
  ids: number[]
  from: number
  truncated: boolean
}

export interface ChoiceOptions {
  file: string
  items: readonly Item[]
  /** Told what was made of each item, in order, once a model is done. */
  onVerdicts?: (verdicts: readonly Verdict[]) => void
}

/** The task of answering the items of a dataset. */
export function choiceTask({ file, items, onVerdicts }: ChoiceOptions): Task<ChoiceFigures> {
  const percent = (value: number | undefined) =>
    value === undefined ? '-' : (100 * value).toFixed(2)
  return {
    title: `${items.length} items of ${file}, ranked by log-likelihood; figures in percent`,
    report: { dataset: basename(file) },
    columns: [
      { title: 'items', cell: (row) => `${row.items}` },
      { title: 'acc', cell: (row) => percent(row.acc) },
      { title: 'stderr', cell: (row) => percent(row.accStderr) },
      { title: 'acc_norm', cell: (row) => percent(row.accNorm) },
      { title: 'stderr', cell: (row) => percent(row.accNormStderr) },
      { title: 'change', cell: (row, first) => signed(100 * (row.acc - first.acc), 2) },
      { title: 'items/s', cell: (row) => row.itemsPerSecond.toFixed(1) },
    ],
    check() {},
    async run(model, show) {
      const start = performance.now()
      const { verdicts, truncated } = await rankItems(model, items, (done, right) => {
        show(done, items.length, `acc ${percent(right / done)}`)
      })
      onVerdicts?.(verdicts)
      const seconds = (performance.now() - start) / 1000
      return { ...figuresOf(verdicts), truncated, itemsPerSecond: items.length / seconds }
    },
    notes: (rows) => {
      const most = Math.max(...rows.map(({ truncated }) => truncated))
      return most === 0 ? [] : [`Up to ${most} choices were cut from the left: they are too long.`]
    },
  }
}

/** Scores all choices of all items, as many at once as there are slots. */
export async function rankItems(
  {
    engine,
    tokenizer,
    plan,
    maxLength,
  }: Pick<LoadedModel, 'tokenizer' | 'maxLength'> & {
    engine: Pick<Engine, 'submit'>
    plan: Pick<LoadedModel['plan'], 'slots'>
  },
  items: readonly Item[],
  onItem: (done: number, right: number) => void = () => {},
): Promise<{ verdicts: Verdict[]; truncated: number }> {
  const prompts = items.flatMap((item, index) =>
    promptsOf(tokenizer, item, maxLength).map((prompt, position) => ({
      ...prompt,
      ...{ item: index, position },
    })),
  )
  const sums = items.map((): number[] => [])
  const left = items.map(({ choices }) => choices.length)
  const verdicts: Verdict[] = []
  let [done, right] = [0, 0]
  const ids = prompts.map((prompt) => prompt.ids)
  // Choices repeat their query's computation: prompts that are scored take no kept state.
  await scorePrompts(engine, ids, 2 * plan.slots, (index, logprobs) => {
    const { item, position, from } = prompts[index]
    // The first token has no log-probability.
    sums[item][position] = logprobs.slice(from - 1).reduce((sum, each) => sum + each, 0)
    if (--left[item] > 0) return
    verdicts[item] = verdictOf(items[item], item, sums[item])
    if (verdicts[item].best === items[item].gold) right++
    onItem(++done, right)
  })
  return { verdicts, truncated: prompts.filter((prompt) => prompt.truncated).length }
}

/**
 * Query and each choice as one text, and where the choice begins in it. A space goes between the two
 * unless there is white space already or no query; white space at the end of the query belongs to the
 * choice. The choice is what follows as many ids as the query alone has, even where its
 * beginning is merged into a token with the query's end.
 */
export function promptsOf(
  tokenizer: Pick<Tokenizer, 'encode' | 'bosTokenId' | 'eosTokenId'>,
  { query, choices }: Pick<Item, 'query' | 'choices'>,
  maxLength: number | undefined,
): Prompt[] {
  const context = query.trimEnd()
  const gap = query.slice(context.length)
  // By hand, because some tokenizers put a token behind a text as well.
  const plain = { addSpecialTokens: false }
  const { bosTokenId, eosTokenId } = tokenizer
  const begins = bosTokenId !== undefined && tokenizer.encode('a')[0] === bosTokenId
  const before = begins ? [bosTokenId] : []
  const contextIds = context === '' ? [] : tokenizer.encode(context, plain)
  // Something has to stand before the first token that is scored.
  const first = bosTokenId ?? eosTokenId
  if (before.length === 0 && contextIds.length === 0 && first !== undefined) before.push(first)
  return choices.map((choice) => {
    const delimiter = query === '' || gap !== '' || /^\s/.test(choice) ? '' : ' '
    const ids = [...before, ...tokenizer.encode(context + gap + delimiter + choice, plain)]
    const from = Math.min(before.length + contextIds.length, ids.length - 1)
    const cut = maxLength === undefined ? 0 : Math.max(0, ids.length - maxLength)
    return { ids: ids.slice(cut), from: Math.max(1, from - cut), truncated: cut > 0 }
  })
}

function verdictOf({ choices, gold }: Item, item: number, logLikelihoods: number[]): Verdict {
  const byCharacter = logLikelihoods.map((sum, i) => sum / codePoints(choices[i]))
  const [best, bestNorm] = [logLikelihoods, byCharacter].map((each) =>
    each.indexOf(Math.max(...each)),
  )
  return { item, gold, logLikelihoods, best, bestNorm }
}

/** Shares of right answers, with standard errors of a mean. */
export function figuresOf(
  verdicts: readonly Verdict[],
): Omit<ChoiceFigures, 'truncated' | 'itemsPerSecond'> {
  const items = verdicts.length
  const share = (isRight: (verdict: Verdict) => boolean) => verdicts.filter(isRight).length / items
  const stderr = (p: number) => (items < 2 ? undefined : Math.sqrt((p * (1 - p)) / (items - 1)))
  const acc = share(({ best, gold }) => best === gold)
  const accNorm = share(({ bestNorm, gold }) => bestNorm === gold)
  return { items, acc, accStderr: stderr(acc), accNorm, accNormStderr: stderr(accNorm) }
}

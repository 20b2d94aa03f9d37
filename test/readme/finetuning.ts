// What a finetune does to a converted model, from models/checkpoints/results.json: the table and the
// plot of the README.

import { type Panel, plotSvg, type Series } from '../bench/plot.ts'

/** Of one architecture; perplexities on heldout.txt. */
interface Finetuning {
  ppl_swapped_no_training: number
  /** Steps, tokens and perplexity along the short finetune. */
  hist: [steps: number, tokens: number, perplexity: number][]
  ppl_finetuned_10pct: number
  ppl_scratch_same_budget: number
  /** Of the shipped model, which was finetuned for longer and by distillation too. */
  ppl_final: number
  final_tokens: number
}

/** The content of results.json. */
export interface Results {
  teacher: { ppl: number; tokens_trained: number }
  finetune_tokens: number
  gla: Finetuning
  gsa: Finetuning
  hybrid: Finetuning
}

const KINDS = [
  { key: 'gla', name: 'GLA', color: '#1a7f37' },
  { key: 'gsa', name: 'GSA', color: '#0969da' },
  { key: 'hybrid', name: 'GLA hybrid', color: '#9a6700' },
] as const

const RED = '#cf222e'
const MILLION = 1e6

/** Rows of how a model was made, and the perplexity of each architecture. */
export function finetuningTable({ teacher, finetune_tokens, ...results }: Results): string {
  const million = (tokens: number) => `${(tokens / MILLION).toFixed(1)} M tokens`
  const row = (how: string, digits: number, pick: (result: Finetuning) => number) =>
    `| ${[how, ...KINDS.map(({ key }) => pick(results[key]).toFixed(digits))].join(' | ')} |`
  const taught = `softmax, the teacher: ${million(teacher.tokens_trained)}`
  return [
    `| | ${KINDS.map(({ name }) => name).join(' | ')} |`,
    '|---|---|---|---|',
    `| ${taught} | ${KINDS.map(() => teacher.ppl.toFixed(1)).join(' | ')} |`,
    row('converted, no training', 0, (result) => result.ppl_swapped_no_training),
    row(`converted, ${million(finetune_tokens)}`, 1, (result) => result.ppl_finetuned_10pct),
    row(`from scratch, ${million(finetune_tokens)}`, 0, (r) => r.ppl_scratch_same_budget),
    row(
      `converted, ${million(results.gla.final_tokens)}, half of it distillation (shipped)`,
      1,
      (result) => result.ppl_final,
    ),
  ].join('\n')
}

/** Perplexity against the tokens of the finetune, which begins at the converted model. */
export function finetuningSvg({ teacher, finetune_tokens, ...results }: Results): string {
  const longest = 30 * MILLION
  const finetuned = KINDS.map(({ key, name, color }): Series => {
    const { ppl_swapped_no_training, hist } = results[key]
    const steps = hist.map(([, tokens, perplexity]) => [tokens, perplexity] as const)
    return { name, color, points: [[0, ppl_swapped_no_training], ...steps] }
  })
  const others: Series[] = [
    {
      ...{ name: 'from scratch', color: '#6e7781', apart: true },
      points: KINDS.map(({ key }) => [finetune_tokens, results[key].ppl_scratch_same_budget]),
    },
    {
      ...{ name: 'shipped', color: '#8250df', apart: true },
      points: KINDS.map(({ key }) => [results[key].final_tokens, results[key].ppl_final]),
    },
    {
      ...{ name: 'teacher, softmax', color: RED, calculated: true },
      points: [
        [0, teacher.ppl],
        [longest, teacher.ppl],
      ],
    },
  ]
  const panel: Panel = {
    title: 'Perplexity of held-out text against the length of the finetune',
    xLabel: 'tokens of the finetune',
    xText: (tokens) => `${tokens / MILLION} M`,
    yText: String,
    xTicks: [0, 5, 10, 15, 20, 25, 30].map((millions) => millions * MILLION),
    yBase: 4,
    width: 720,
    series: [...finetuned, ...others],
  }
  return plotSvg([panel])
}

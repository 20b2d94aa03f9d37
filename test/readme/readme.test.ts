// README says what code and data say.
import { expect, test } from 'bun:test'
import { z } from 'zod'
import { SERVE_OPTIONS } from '../../src/config.ts'
import type { Results } from './finetuning.ts'
import { finetuningSvg, finetuningTable } from './finetuning.ts'
import { optionsAsMarkdown } from './options-markdown.ts'
import { FINETUNING_PLOT, makeReadme, README, withSection } from './sections.ts'

test('README and its plot are up to date; `bun run readme` writes them', async () => {
  const { text, plot } = await makeReadme()
  const readme = await Bun.file(README).text()
  expect(text).toBe(readme)
  expect(plot).toBe(await Bun.file(FINETUNING_PLOT).text())
  for (const key of Object.keys(SERVE_OPTIONS)) {
    expect(readme).toContain(`GLAZE_${key.replaceAll(/[A-Z]/g, (c) => `_${c}`).toUpperCase()}`)
  }
})

const TABLE = {
  maxThings: { help: 'a|b.', value: 'N', expects: '', type: z.string(), fallback: '3' },
  quiet: { help: 'Say less.', expects: '', type: z.string(), otherwise: 'as the day is' },
}

test('a row has flag, variable, default and meaning', () => {
  expect(optionsAsMarkdown(TABLE).split('\n').slice(2)).toEqual([
    '| `--max-things N` | `GLAZE_MAX_THINGS` | `3` | a\\|b. |',
    '| `--quiet` | `GLAZE_QUIET` | as the day is | Say less. |',
  ])
})

test('a command that reads no variables', () => {
  expect(optionsAsMarkdown(TABLE, false).split('\n')).toEqual([
    '| flag | default |  |',
    '|---|---|---|',
    '| `--max-things N` | `3` | a\\|b. |',
    '| `--quiet` | as the day is | Say less. |',
  ])
})

test('a section is what stands between its comments', () => {
  const text = 'a <!-- b: written by `bun run readme` -->\nold\n<!-- end of b --> c'
  const filled = 'a <!-- b: written by `bun run readme` -->\n\nnew\n\n<!-- end of b --> c'
  expect(withSection(text, 'b', 'new')).toBe(filled)
  expect(() => withSection(text, 'x', '')).toThrow('there is no section')
})

test('table and plot of finetuning show the numbers that they are given', () => {
  const finetuning = (first: number) => ({
    ppl_swapped_no_training: first,
    hist: [[1, 1e6, first / 10]] as [number, number, number][],
    ppl_finetuned_10pct: first / 10,
    ppl_scratch_same_budget: first / 2,
    ppl_final: first / 20,
    final_tokens: 20e6,
  })
  const results: Results = {
    teacher: { ppl: 33.25, tokens_trained: 60e6 },
    finetune_tokens: 1e6,
    ...{ gla: finetuning(1000), gsa: finetuning(2000), hybrid: finetuning(800) },
  }
  expect(finetuningTable(results).split('\n')).toContain(
    '| converted, 1.0 M tokens | 100.0 | 200.0 | 80.0 |',
  )
  expect(finetuningTable(results).split('\n')).toContain(
    '| from scratch, 1.0 M tokens | 500 | 1000 | 400 |',
  )
  // Three finetunes and the teacher; what was trained otherwise has marks alone.
  expect(finetuningSvg(results).match(/<polyline/g)).toHaveLength(4)
  expect(finetuningSvg(results).match(/fill="#ffffff" stroke/g)).toHaveLength(8)
})

// The parts of the README that are made of what is in code and data: `bun run readme` writes them, and
// a test says when they are out of date.

import { join } from 'node:path'
import { SERVE_OPTIONS } from '../../src/config.ts'
import { CONVERT_OPTIONS } from '../../src/config-convert.ts'
import { checkpointTable } from './checkpoints.ts'
import { finetuningSvg, finetuningTable, type Results } from './finetuning.ts'
import { optionsAsMarkdown } from './options-markdown.ts'

const CHECKPOINTS = join(import.meta.dir, '../../models/checkpoints')

export const README = join(import.meta.dir, '../../README.md')
export const FINETUNING_PLOT = join(CHECKPOINTS, 'finetuning.svg')

/** The README of today with its made parts as they should be, and its plot. */
export async function makeReadme(): Promise<{ text: string; plot: string }> {
  const results: Results = await Bun.file(join(CHECKPOINTS, 'results.json')).json()
  let text = await Bun.file(README).text()
  text = withSection(text, 'options', optionsAsMarkdown(SERVE_OPTIONS))
  text = withSection(text, 'options of convert', optionsAsMarkdown(CONVERT_OPTIONS, false))
  text = withSection(text, 'finetuning', finetuningTable(results))
  text = withSection(text, 'published checkpoints', checkpointTable())
  return { text, plot: finetuningSvg(results) }
}

/**
 * A text with `body` between the two comments that mark a section.
 * @throws Error if the text has no such section
 */
export function withSection(text: string, name: string, body: string): string {
  const opening = `<!-- ${name}: written by \`bun run readme\` -->`
  const closing = `<!-- end of ${name} -->`
  const [begin, end] = [text.indexOf(opening), text.indexOf(closing)]
  if (begin < 0 || end < begin) {
    throw new Error(`there is no section between ${opening} and ${closing}`)
  }
  return `${text.slice(0, begin)}${opening}\n\n${body}\n\n${text.slice(end)}`
}

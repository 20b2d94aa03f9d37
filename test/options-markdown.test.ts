// README's options are those of the table.
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { z } from 'zod'
import { SERVE_OPTIONS } from '../src/config.ts'
import { optionsAsMarkdown, withOptions } from '../src/options-markdown.ts'

test('README has the options as they are; `bun run readme` writes them', async () => {
  const readme = await Bun.file(join(import.meta.dir, '../README.md')).text()
  expect(withOptions(readme, SERVE_OPTIONS)).toBe(readme)
  for (const key of Object.keys(SERVE_OPTIONS)) {
    expect(readme).toContain(`GLAZE_${key.replaceAll(/[A-Z]/g, (c) => `_${c}`).toUpperCase()}`)
  }
})

test('a row has flag, variable, default and meaning', () => {
  const table = {
    maxThings: { help: 'a|b.', value: 'N', expects: '', type: z.string(), fallback: '3' },
    quiet: { help: 'Say less.', expects: '', type: z.string(), otherwise: 'as the day is' },
  }
  expect(optionsAsMarkdown(table).split('\n').slice(2)).toEqual([
    '| `--max-things N` | `GLAZE_MAX_THINGS` | `3` | a\\|b. |',
    '| `--quiet` | `GLAZE_QUIET` | as the day is | Say less. |',
  ])
})

test('a text without the section is an error', () => {
  expect(() => withOptions('# nothing', {})).toThrow('there is no section')
})

// An option table as Markdown: README's section is made of it by `bun run readme`, and tested.

import { flagOf, type OptionTable, variableOf } from './options.ts'

const BEGIN = '<!-- options: written by `bun run readme` -->'
const END = '<!-- end of options -->'

/** Rows of flag, variable, default and meaning, in the order of the table. */
export function optionsAsMarkdown(table: OptionTable): string {
  const rows = Object.entries(table).map(([key, option]) => {
    const flag = option.value === undefined ? flagOf(key) : `${flagOf(key)} ${option.value}`
    const fallback =
      option.fallback === undefined ? (option.otherwise ?? '') : `\`${option.fallback}\``
    return `| \`${flag}\` | \`${variableOf(key)}\` | ${escapeCell(fallback)} | ${escapeCell(option.help)} |`
  })
  return ['| flag | variable | default | |', '|---|---|---|---|', ...rows].join('\n')
}

/**
 * A text whose section of options is that of the table.
 * @throws Error if the text has no such section
 */
export function withOptions(text: string, table: OptionTable): string {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`there is no section between ${BEGIN} and ${END}`)
  return `${text.slice(0, begin)}${BEGIN}\n\n${optionsAsMarkdown(table)}\n\n${text.slice(end)}`
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|')
}

// An option table as Markdown.

import { flagOf, type OptionTable, variableOf } from '../../src/options.ts'

/**
 * Rows of flag, variable, default and meaning, in the order of the table.
 * @param variables false for a command that reads no environment
 */
export function optionsAsMarkdown(table: OptionTable, variables = true): string {
  const row = (cells: readonly string[]) =>
    `| ${cells.filter((_, i) => variables || i !== 1).join(' | ')} |`
  const rows = Object.entries(table).map(([key, option]) => {
    const flag = option.value === undefined ? flagOf(key) : `${flagOf(key)} ${option.value}`
    const fallback =
      option.fallback === undefined ? (option.otherwise ?? '') : `\`${option.fallback}\``
    const [shown, help] = [fallback, option.help].map(escapeCell)
    return row([`\`${flag}\``, `\`${variableOf(key)}\``, shown, help])
  })
  const line = variables ? '|---|---|---|---|' : '|---|---|---|'
  return [row(['flag', 'variable', 'default', '']), line, ...rows].join('\n')
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|')
}

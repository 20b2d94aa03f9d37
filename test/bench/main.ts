// `bun run bench COMMAND`: measures what glaze costs, against what the device can do.

import { OperatorError } from '../../src/errors.ts'
import { describeOptions } from '../../src/options.ts'
import { decode } from './commands/decode.ts'
import { http } from './commands/http.ts'
import { kernels } from './commands/kernels.ts'
import { load } from './commands/load.ts'
import { long } from './commands/long.ts'
import { makeCheckpoint } from './commands/make-checkpoint.ts'
import { prefill } from './commands/prefill.ts'
import { serve } from './commands/serve.ts'
import type { Command } from './options.ts'

const COMMANDS: Readonly<Record<string, Command>> = {
  kernels,
  decode,
  prefill,
  load,
  serve,
  http,
  long,
  'make-checkpoint': makeCheckpoint,
}

async function main([name, ...args]: readonly string[]): Promise<number> {
  const command = name === undefined ? undefined : COMMANDS[name]
  if (command === undefined) {
    const known = name === undefined || name === '--help' || name === '-h'
    if (!known) console.error(`bench: there is no command ${JSON.stringify(name)}`)
    console.log(overview())
    return known ? 0 : 1
  }
  if (args.includes('--help') || args.includes('-h')) {
    const options = describeOptions(command.table, false)
    console.log([`bench ${name}: ${command.summary}`, '', ...options].join('\n'))
    return 0
  }
  await command.run(args)
  return 0
}

function overview(): string {
  const lines = Object.entries(COMMANDS).map(
    ([name, { summary }]) => `  ${name.padEnd(16)} ${summary}`,
  )
  return [
    'Usage: bun run bench COMMAND [MODEL] [options]',
    '',
    ...lines,
    '',
    'COMMAND --help lists its options.',
  ].join('\n')
}

try {
  process.exit(await main(process.argv.slice(2)))
} catch (error) {
  // What the operator can mend is one line; a stack is for what we have to mend.
  if (!(error instanceof OperatorError)) throw error
  console.error(`bench: ${error.message}`)
  process.exit(1)
}

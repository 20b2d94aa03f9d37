#!/usr/bin/env bun
// The command: reads the command line, runs what it asks for, turns errors into one line.
import { version } from '../package.json'
import { parseCommandLine } from './command-line.ts'
import { convert } from './convert.ts'
import { OperatorError } from './errors.ts'
import { evaluate } from './eval.ts'
import { check } from './serve/check.ts'
import { serve } from './serve.ts'

async function main(): Promise<number> {
  const command = parseCommandLine(process.argv.slice(2), process.env)
  switch (command.command) {
    case 'help':
      console.log(command.text)
      return 0
    case 'version':
      console.log(version)
      return 0
    case 'serve':
      return serve(command.options, command.settings)
    case 'check':
      return check(command.options, command.settings)
    case 'eval':
      return evaluate(command.options)
    case 'convert':
      return convert(command.options)
  }
}

try {
  process.exit(await main())
} catch (error) {
  // What the operator can mend is one line; a stack is for what we have to mend.
  if (!(error instanceof OperatorError)) throw error
  console.error(`glaze: ${error.message}`)
  process.exit(1)
}

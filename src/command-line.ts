// The commands: which one the arguments ask for, with which options, and what --help says of each.

import { EVAL_OPTIONS, type EvalOptions, SERVE_OPTIONS, type ServeOptions } from './config.ts'
import { FOREIGN_FLAGS } from './foreign-flags.ts'
import { describeOptions, parseOptions, resolveOptions, type Setting } from './options.ts'

const CHECK = '--check'
/** Flags that are no options of a table. */
const SWITCHES = ['--help', '--version']

/** What the command line asks for. */
export type Command =
  | { command: 'serve' | 'check'; options: ServeOptions; settings: Setting[] }
  | { command: 'eval'; options: EvalOptions }
  | { command: 'help'; text: string }
  | { command: 'version' }

/**
 * Reads the arguments after the program's name, and the environment.
 * Throws ConfigError for anything unknown, misspelt or out of range.
 */
export function parseCommandLine(
  argv: readonly string[],
  env: Record<string, string | undefined>,
): Command {
  const isEval = argv[0] === 'eval'
  const args = isEval || argv[0] === 'serve' ? argv.slice(1) : argv
  const beforeTerminator = args.slice(0, [...args, '--'].indexOf('--'))
  const has = (...names: string[]) => beforeTerminator.some((arg) => names.includes(arg))
  if (has('--help', '-h') || argv[0] === 'help') {
    return { command: 'help', text: isEval ? evalHelpText() : helpText() }
  }
  if (has('--version', '-V') || argv[0] === 'version') return { command: 'version' }
  if (isEval) {
    const around = { hints: FOREIGN_FLAGS, switches: SWITCHES, others: SERVE_OPTIONS }
    return { command: 'eval', options: parseOptions(EVAL_OPTIONS, args, env, around) }
  }
  const isCheck = has(CHECK)
  const rest = args.filter((arg, i) => arg !== CHECK || i >= beforeTerminator.length)
  const switches = [CHECK, ...SWITCHES]
  const around = { hints: FOREIGN_FLAGS, switches, others: EVAL_OPTIONS }
  const { values, settings } = resolveOptions(SERVE_OPTIONS, rest, env, around)
  return { command: isCheck ? 'check' : 'serve', options: values, settings }
}

function helpText(): string {
  return [
    'Serves gated linear-attention language models over the OpenAI HTTP API.',
    '',
    'Usage: glaze [serve] [MODEL] [options]',
    '       glaze eval [MODEL] [options]     perplexity of a text; eval --help says more',
    '',
    'Options, each with its environment variable; a flag wins over its variable:',
    ...describeOptions(SERVE_OPTIONS),
    "  --check\n      Print the options that result and where each comes from, check the model's files, and leave.",
    '  -h, --help\n      Print this text.',
    '  -V, --version\n      Print the version.',
    '',
  ].join('\n')
}

function evalHelpText(): string {
  return [
    'Perplexity of a text: the text is cut into windows, each is scored from an empty state.',
    '',
    'Usage: glaze eval [MODEL] [--text FILE] [options]',
    '',
    'Options, each with its environment variable; a flag wins over its variable:',
    ...describeOptions(EVAL_OPTIONS),
    '  -h, --help\n      Print this text.',
    '',
  ].join('\n')
}

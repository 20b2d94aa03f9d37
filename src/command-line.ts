// The commands: which one the arguments ask for, with which options, and what --help says of each.

import { SERVE_OPTIONS, type ServeOptions } from './config.ts'
import { CONVERT_OPTIONS, type ConvertOptions } from './config-convert.ts'
import { EVAL_OPTIONS, type EvalOptions } from './config-eval.ts'
import { FOREIGN_FLAGS } from './foreign-flags.ts'
import { describeOptions, parseOptions, resolveOptions, type Setting } from './options.ts'

const CHECK = '--check'
/** Flags that are no options of a table. */
const SWITCHES = ['--help', '--version']

/** What the command line asks for. */
export type Command =
  | { command: 'serve' | 'check'; options: ServeOptions; settings: Setting[] }
  | { command: 'eval'; options: EvalOptions }
  | { command: 'convert'; options: ConvertOptions }
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
  const isConvert = argv[0] === 'convert'
  const args = isEval || isConvert || argv[0] === 'serve' ? argv.slice(1) : argv
  const beforeTerminator = args.slice(0, [...args, '--'].indexOf('--'))
  const has = (...names: string[]) => beforeTerminator.some((arg) => names.includes(arg))
  if (has('--help', '-h') || argv[0] === 'help') {
    return { command: 'help', text: helpOf(argv[0]) }
  }
  if (has('--version', '-V') || argv[0] === 'version') return { command: 'version' }
  if (isEval) {
    const around = { hints: FOREIGN_FLAGS, switches: SWITCHES, others: SERVE_OPTIONS }
    return { command: 'eval', options: parseOptions(EVAL_OPTIONS, args, env, around) }
  }
  if (isConvert) {
    // Reads no variables: a model is made once, by what is written in its command.
    const around = { switches: SWITCHES }
    return { command: 'convert', options: parseOptions(CONVERT_OPTIONS, args, {}, around) }
  }
  const isCheck = has(CHECK)
  const rest = args.filter((arg, i) => arg !== CHECK || i >= beforeTerminator.length)
  const switches = [CHECK, ...SWITCHES]
  const around = { hints: FOREIGN_FLAGS, switches, others: EVAL_OPTIONS }
  const { values, settings } = resolveOptions(SERVE_OPTIONS, rest, env, around)
  return { command: isCheck ? 'check' : 'serve', options: values, settings }
}

function helpOf(command: string | undefined): string {
  if (command === 'eval') return evalHelpText()
  return command === 'convert' ? convertHelpText() : helpText()
}

function helpText(): string {
  return [
    'Serves gated linear-attention language models over the OpenAI HTTP API.',
    '',
    'Usage: glaze [serve] [MODEL] [options]',
    '       glaze eval [MODEL …] [options]   measures models on a text or a dataset; eval --help says more',
    '       glaze convert SOURCE OUT --to KIND   from softmax to linear attention; convert --help says more',
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
    'Measures models and compares them: the perplexity of a text, which is cut into windows that are each',
    'scored from an empty state, or the share of multiple-choice items that they get right.',
    '',
    'Usage: glaze eval [MODEL …] [--text FILE | --dataset FILE.jsonl] [options]',
    '',
    'Options, each with its environment variable; a flag wins over its variable:',
    ...describeOptions(EVAL_OPTIONS),
    '  -h, --help\n      Print this text.',
    '',
  ].join('\n')
}

function convertHelpText(): string {
  return [
    'Makes a model of linear attention from a softmax model, ready to be finetuned.',
    '',
    'Usage: glaze convert SOURCE OUT --to gla|gsa|hybrid [options]',
    '',
    'Options:',
    ...describeOptions(CONVERT_OPTIONS, false),
    '  -h, --help\n      Print this text.',
    '',
  ].join('\n')
}

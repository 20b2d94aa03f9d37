// The options of every command: one table gives the flag, the GLAZE_ variable, the default, the
// check and the help text. A flag wins over the variable, the variable over the default.

import { parseArgs } from 'node:util'
import { z } from 'zod'
import { ConfigError } from './errors.ts'
import { LOG_FORMATS, LOG_LEVELS } from './log.ts'

/** One option. Its flag and variable follow from its key: `maxQueue`, --max-queue, GLAZE_MAX_QUEUE. */
export interface Option {
  /** What it does; one or two sentences. */
  help: string
  /** Placeholder of the value in the help text; an option without one is a boolean. */
  value?: string
  /** What a value must be; completes "expected …". */
  expects: string
  /** From the text given (undefined: nothing given, no default) to the value. */
  type: z.ZodType
  /** The default, as a user would write it. */
  fallback?: string
  /** What happens without a value, where no default can be written down. */
  otherwise?: string
  /** May also be given without its flag. */
  positional?: true
  /** Repeating the flag adds values, joined by commas. */
  list?: true
}

/** The options of one command, by key. */
export type OptionTable = Record<string, Option>

/** The values that a table describes. */
export type OptionValues<T extends OptionTable> = { [K in keyof T]: z.output<T[K]['type']> }

const text = z.string().min(1)

function wholeNumber(min: number, max: number) {
  return z.string().regex(/^\d+$/).transform(Number).pipe(z.number().min(min).max(max))
}

/** `auto` stands for undefined: the server works the value out. */
function orAuto<T extends z.ZodType>(type: T) {
  return z.union([z.literal('auto').transform(() => undefined), type])
}

const UNITS = new Map([
  ['k', 1e3],
  ['m', 1e6],
  ['g', 1e9],
  ['ki', 2 ** 10],
  ['mi', 2 ** 20],
  ['gi', 2 ** 30],
])

const byteCount = z
  .string()
  .regex(/^\d+(\.\d+)?\s*([kmg]i?)?b?$/i)
  .transform((given) => {
    const [, amount, unit] = /^([\d.]+)\s*([kmg]i?)?/i.exec(given)!
    return Math.floor(Number(amount) * (UNITS.get((unit ?? '').toLowerCase()) ?? 1))
  })
  .pipe(z.number().positive().max(Number.MAX_SAFE_INTEGER))

/** Options of `glaze serve`. */
export const SERVE_OPTIONS = {
  model: {
    help: 'Checkpoint folder in Hugging Face layout.',
    value: 'MODEL',
    expects: 'a folder',
    type: text.optional(),
    otherwise: 'the small model that ships with glaze',
    positional: true,
  },
  servedModelName: {
    help: 'Names under which clients ask for the model; the first one is shown in replies. Repeat the flag or separate names by commas.',
    value: 'NAME',
    expects: 'one or more names separated by commas',
    type: z
      .string()
      .transform((names) => names.split(',').map((name) => name.trim()))
      .pipe(z.array(z.string().min(1)))
      .optional(),
    otherwise: 'the name of the model folder',
    list: true,
  },
  host: {
    help: 'Address to listen on; 0.0.0.0 is every address of the machine.',
    value: 'ADDRESS',
    expects: 'an address or host name',
    type: text,
    fallback: '127.0.0.1',
  },
  port: {
    help: 'Port to listen on; 0 takes a free one.',
    value: 'PORT',
    expects: 'a whole number from 0 to 65535',
    type: wholeNumber(0, 65535),
    fallback: '8000',
  },
  adapter: {
    help: "GPU to run on: auto, software (the CPU), or a part of an adapter's name.",
    value: 'NAME',
    expects: "auto, software or a part of an adapter's name",
    type: text,
    fallback: 'auto',
  },
  dtype: {
    help: 'Type of the weights on the GPU.',
    value: 'TYPE',
    expects: 'auto, float16 or float32',
    type: z.enum(['auto', 'float16', 'float32']),
    fallback: 'auto',
  },
  kernels: {
    help: 'Kernel variants to use: subgroup is fast on GPUs, plain needs no subgroups or barriers.',
    value: 'VARIANT',
    expects: 'auto, subgroup or plain',
    type: z.enum(['auto', 'subgroup', 'plain']),
    fallback: 'auto',
  },
  maxNumSeqs: {
    help: 'Sequences that run at once; each holds one state slot.',
    value: 'N',
    expects: 'auto or a whole number from 1 to 65536',
    type: orAuto(wholeNumber(1, 65536)),
    fallback: 'auto',
  },
  stateMemory: {
    help: 'GPU memory for the state slots, for example 4GiB or 512MiB.',
    value: 'BYTES',
    expects: 'auto or an amount such as 4GiB, 512MiB, 2GB or 1000000',
    type: orAuto(byteCount),
    fallback: 'auto',
  },
  maxNumBatchedTokens: {
    help: 'Most prompt tokens in one step. Lower values shorten the pauses of running streams.',
    value: 'N',
    expects: 'a multiple of 64 from 64 to 65536',
    type: wholeNumber(64, 65536).refine((tokens) => tokens % 64 === 0),
    fallback: '512',
  },
  maxModelLen: {
    help: 'Most tokens of prompt and completion together; auto: as many as the model can take.',
    value: 'N',
    expects: 'auto or a whole number from 1 to 2147483647',
    type: orAuto(wholeNumber(1, 2 ** 31 - 1)),
    fallback: 'auto',
  },
  maxQueue: {
    help: 'Sequences that may wait for a slot; beyond it clients get status 429.',
    value: 'N',
    expects: 'a whole number from 0 to 1000000',
    type: wholeNumber(0, 1_000_000),
    fallback: '1024',
  },
  shutdownTimeout: {
    help: 'Seconds that running requests get to finish after SIGTERM.',
    value: 'SECONDS',
    expects: 'a whole number from 0 to 86400',
    type: wholeNumber(0, 86_400),
    fallback: '30',
  },
  logLevel: {
    help: `Least level that is logged: ${LOG_LEVELS.join(', ')}.`,
    value: 'LEVEL',
    expects: `one of ${LOG_LEVELS.join(', ')}`,
    type: z.enum(LOG_LEVELS),
    fallback: 'info',
  },
  logFormat: {
    help: 'json, text, or auto: text if stderr is a terminal.',
    value: 'FORMAT',
    expects: `one of ${LOG_FORMATS.join(', ')}`,
    type: z.enum(LOG_FORMATS),
    fallback: 'auto',
  },
} satisfies OptionTable

export type ServeOptions = OptionValues<typeof SERVE_OPTIONS>

/** What the command line asks for. */
export type Command =
  | { command: 'serve'; options: ServeOptions }
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
  const args = argv[0] === 'serve' ? argv.slice(1) : argv
  const beforeTerminator = args.slice(0, [...args, '--'].indexOf('--'))
  const has = (...names: string[]) => beforeTerminator.some((arg) => names.includes(arg))
  if (has('--help', '-h') || argv[0] === 'help') return { command: 'help', text: helpText() }
  if (has('--version', '-V') || argv[0] === 'version') return { command: 'version' }
  return { command: 'serve', options: parseOptions(SERVE_OPTIONS, args, env) }
}

/** Resolves the options of one table from flags, GLAZE_ variables and defaults. */
export function parseOptions<T extends OptionTable>(
  table: T,
  args: readonly string[],
  env: Record<string, string | undefined>,
): OptionValues<T> {
  const given = { ...fromEnvironment(table, env), ...fromFlags(table, args) }
  const values = Object.entries(table).map(([key, option]) => {
    const { value, source } = given[key] ?? { value: option.fallback, source: flagOf(key) }
    const parsed = option.type.safeParse(value)
    if (parsed.success) return [key, parsed.data]
    throw new ConfigError(`${source} is ${JSON.stringify(value)}: expected ${option.expects}`)
  })
  return Object.fromEntries(values)
}

/** A value and the name of where it was found, for messages. */
type Given = Record<string, { value: string; source: string }>

function fromFlags(table: OptionTable, args: readonly string[]): Given {
  const keys = new Map(Object.keys(table).map((key) => [flagOf(key), key]))
  const positional = Object.keys(table).find((key) => table[key].positional)
  const { tokens } = parseArgs({
    args: [...args],
    // Not strict, because its own errors name neither the nearest flag nor the allowed values.
    strict: false,
    tokens: true,
    options: Object.fromEntries(
      Object.entries(table).map(([key, option]) => [
        flagOf(key).slice(2),
        { type: option.value === undefined ? ('boolean' as const) : ('string' as const) },
      ]),
    ),
  })
  const given: Given = {}
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue
    if (token.kind === 'positional') {
      if (positional === undefined || given[positional] !== undefined) {
        throw new ConfigError(`unexpected argument ${JSON.stringify(token.value)}; see --help`)
      }
      given[positional] = { value: token.value, source: table[positional].value ?? positional }
      continue
    }
    const negated = keys.get(token.rawName.replace(/^--no-/, '--'))
    const isNegation = !keys.has(token.rawName) && token.rawName.startsWith('--no-')
    const key =
      isNegation && negated && isBoolean(table[negated]) ? negated : keys.get(token.rawName)
    if (key === undefined) throw unknownName('flag', token.rawName, [...keys.keys()])
    const value = isBoolean(table[key]) ? (token.value ?? String(!isNegation)) : token.value
    if (value === undefined || (!token.inlineValue && value.startsWith('--'))) {
      throw new ConfigError(`${token.rawName} needs a value: expected ${table[key].expects}`)
    }
    const before = table[key].list ? given[key] : undefined
    const all = before === undefined ? value : `${before.value},${value}`
    given[key] = { value: all, source: token.rawName }
  }
  return given
}

function fromEnvironment(table: OptionTable, env: Record<string, string | undefined>): Given {
  const keys = new Map(Object.keys(table).map((key) => [variableOf(key), key]))
  const given: Given = {}
  for (const [name, value] of Object.entries(env)) {
    // Container files often pass a variable on as an empty string where it is not set.
    if (!name.startsWith('GLAZE_') || value === undefined || value === '') continue
    const key = keys.get(name)
    if (key === undefined) throw unknownName('environment variable', name, [...keys.keys()])
    given[key] = { value, source: name }
  }
  return given
}

function isBoolean(option: Option): boolean {
  return option.value === undefined
}

function flagOf(key: string): string {
  return `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

function variableOf(key: string): string {
  return `GLAZE_${flagOf(key).slice(2).replaceAll('-', '_').toUpperCase()}`
}

function unknownName(kind: string, name: string, known: string[]): ConfigError {
  const distances = known.map((candidate) => editDistance(name, candidate))
  const nearest = known[distances.indexOf(Math.min(...distances))]
  return new ConfigError(`unknown ${kind} ${name}; did you mean ${nearest}? --help lists all`)
}

/** Least number of inserted, deleted and replaced characters that make `a` into `b`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[j] + 1, next[j - 1] + 1))
    }
    row = next
  }
  return row[b.length]
}

function helpText(): string {
  const entries = Object.entries<Option>(SERVE_OPTIONS).map(([key, option]) => {
    const flag = [flagOf(key), option.value].filter(Boolean).join(' ')
    const otherwise = option.fallback ?? option.otherwise
    const notes = [variableOf(key), otherwise && `default: ${otherwise}`].filter(Boolean).join(', ')
    return `  ${flag}\n      ${option.help}\n      [${notes}]`
  })
  return [
    'Serves gated linear-attention language models over the OpenAI HTTP API.',
    '',
    'Usage: glaze [serve] [MODEL] [options]',
    '',
    'Options, each with its environment variable; a flag wins over its variable:',
    ...entries,
    '  -h, --help\n      Print this text.',
    '  -V, --version\n      Print the version.',
    '',
  ].join('\n')
}

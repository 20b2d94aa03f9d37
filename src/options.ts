// The machinery of option tables: flags, GLAZE_ variables and defaults become checked values, and
// a table becomes its help text. A flag wins over the variable, the variable over the default.

import { parseArgs } from 'node:util'
import { z } from 'zod'
import { ConfigError } from './errors.ts'

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
  /** May also be given without its flag; of several, in the order of the table, a list takes the rest. */
  positional?: true
  /** Repeating the flag adds values, joined by commas. */
  list?: true
  /** No message repeats the value. */
  secret?: true
  /** Makes an empty variable an error, where it must not pass for none; completes "unset it to …". */
  unsetTo?: string
}

/** The options of one command, by key. */
export type OptionTable = Record<string, Option>

/** The values that a table describes. */
export type OptionValues<T extends OptionTable> = { [K in keyof T]: z.output<T[K]['type']> }

/** Any text but none. */
export const text = z.string().min(1)

/** The value of a boolean option. */
export const truth = z.enum(['true', 'false']).transform((given) => given === 'true')

/** Digits only: no sign, no point, no exponent. */
export function wholeNumber(min: number, max: number) {
  return z.string().regex(/^\d+$/).transform(Number).pipe(z.number().min(min).max(max))
}

/** Seconds from 0 to a day; fractions are allowed. */
export const seconds = z
  .string()
  .regex(/^\d+(\.\d+)?$/)
  .transform(Number)
  .pipe(z.number().max(86_400))

/** Values with commas between them; spaces around each are dropped. */
export function commaSeparated<T extends z.ZodType<unknown, string>>(member: T) {
  const split = (given: string) => given.split(',').map((value) => value.trim())
  return z.string().transform(split).pipe(z.array(member))
}

/** `auto` stands for undefined: the server works the value out. */
export function orAuto<T extends z.ZodType>(type: T) {
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

/** An amount of memory such as 4GiB, 1.5g or 1000; a fraction of a byte is refused. */
export function byteCount(min: number) {
  return z
    .string()
    .regex(/^(\d+\s*|\d+(\.\d+)?\s*[kmg]i?)b?$/i)
    .transform((given) => {
      const [, amount, unit] = /^([\d.]+)\s*([kmg]i?)?/i.exec(given)!
      return Math.floor(Number(amount) * (UNITS.get((unit ?? '').toLowerCase()) ?? 1))
    })
    .pipe(z.number().min(min).max(Number.MAX_SAFE_INTEGER))
}

/** What else may be written besides the options of a table. */
export interface Surroundings {
  /** Options of other commands, whose variables may be set and mean nothing here. */
  others?: OptionTable
  /** Flags that are read elsewhere, such as --help. */
  switches?: readonly string[]
  /** What to do in place of a flag that other servers have. */
  hints?: ReadonlyMap<string, string>
}

/** Where the value of an option comes from. */
export interface Setting {
  flag: string
  /** As it was written; a secret is masked, and without a value it says what happens then. */
  value: string
  /** The flag or variable that gave it, the placeholder of an argument, or `default`. */
  source: string
}

/**
 * Resolves the options of one table from flags, GLAZE_ variables and defaults.
 * Throws ConfigError for anything unknown, misspelt or out of range.
 */
export function parseOptions<T extends OptionTable>(
  table: T,
  args: readonly string[],
  env: Record<string, string | undefined>,
  around: Surroundings = {},
): OptionValues<T> {
  return resolveOptions(table, args, env, around).values
}

/** Like `parseOptions`, and says where each value comes from, in the order of the table. */
export function resolveOptions<T extends OptionTable>(
  table: T,
  args: readonly string[],
  env: Record<string, string | undefined>,
  around: Surroundings = {},
): { values: OptionValues<T>; settings: Setting[] } {
  const given = { ...fromEnvironment(table, env, around), ...fromFlags(table, args, around) }
  const values: Record<string, unknown> = {}
  const settings: Setting[] = []
  for (const [key, option] of Object.entries(table)) {
    const flag = flagOf(key)
    const name = option.positional ? (option.value ?? flag) : flag
    const { value, source } = given[key] ?? { value: option.fallback, source: name }
    const parsed = option.type.safeParse(value)
    if (!parsed.success) {
      const shown = value === undefined ? 'missing' : JSON.stringify(value)
      const found = option.secret ? '' : ` is ${shown}`
      throw new ConfigError(`${source}${found}: expected ${option.expects}`)
    }
    values[key] = parsed.data
    const isGiven = given[key] !== undefined
    const text = isGiven && option.secret ? MASK : (value ?? option.otherwise ?? '')
    settings.push({ flag, value: text, source: isGiven ? source : 'default' })
  }
  return { values: values as OptionValues<T>, settings }
}

/** Stands for a secret that is set. */
const MASK = '***'

/**
 * The help text of each option, in the order of the table.
 * @param variables false for a command that reads no environment
 */
export function describeOptions(table: OptionTable, variables = true): string[] {
  return Object.entries(table).map(([key, option]) => {
    const otherwise = option.fallback ?? option.otherwise
    const notes = [variables && variableOf(key), otherwise && `default: ${otherwise}`]
    const note = notes.filter(Boolean).join(', ')
    return `  ${usageOf(key, option)}\n      ${option.help}${note && `\n      [${note}]`}`
  })
}

/** A value and the name of where it was found, for messages. */
type Given = Record<string, { value: string; source: string }>

function fromFlags(
  table: OptionTable,
  args: readonly string[],
  { switches = [], hints }: Surroundings,
): Given {
  const keys = new Map(Object.keys(table).map((key) => [flagOf(key), key]))
  const positionals = Object.keys(table).filter((key) => table[key].positional)
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
      const positional = positionals.find((key) => given[key] === undefined || table[key].list)
      if (positional === undefined) {
        throw new ConfigError(`unexpected argument ${JSON.stringify(token.value)}; see --help`)
      }
      const all = [given[positional]?.value, token.value].filter((value) => value !== undefined)
      given[positional] = { value: all.join(','), source: table[positional].value ?? positional }
      continue
    }
    const negated = keys.get(token.rawName.replace(/^--no-/, '--'))
    const isNegation = !keys.has(token.rawName) && token.rawName.startsWith('--no-')
    const key =
      isNegation && negated && isBoolean(table[negated]) ? negated : keys.get(token.rawName)
    if (key === undefined) {
      const hint = hints?.get(token.rawName)
      if (hint !== undefined) throw new ConfigError(`unknown flag ${token.rawName}: ${hint}`)
      throw unknownName('flag', token.rawName, [...keys.keys(), ...switches])
    }
    if (isNegation && token.value !== undefined) {
      throw new ConfigError(`${token.rawName} takes no value, found ${JSON.stringify(token.value)}`)
    }
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

function fromEnvironment(
  table: OptionTable,
  env: Record<string, string | undefined>,
  { others = {} }: Surroundings,
): Given {
  const keys = new Map(Object.keys(table).map((key) => [variableOf(key), key]))
  const foreign = new Set(Object.keys(others).map(variableOf))
  const given: Given = {}
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('GLAZE_') || value === undefined) continue
    const key = keys.get(name)
    const unsetTo = key && table[key].unsetTo
    if (isServiceLink(name, value)) continue
    if (value === '' && unsetTo) throw new ConfigError(`${name} is empty; unset it to ${unsetTo}`)
    // Container files often pass a variable on as an empty string where it is not set.
    if (value === '') continue
    if (key === undefined && foreign.has(name)) continue
    if (key === undefined) {
      throw unknownName('environment variable', name, [...keys.keys(), ...foreign])
    }
    given[key] = { value, source: name }
  }
  return given
}

/**
 * Whether Kubernetes set this variable: a pod gets such ones for every Service of its namespace, for
 * one named glaze among them GLAZE_PORT=tcp://… They are no one's wish and must not end a server.
 */
function isServiceLink(name: string, value: string): boolean {
  return (
    /_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PORT|PROTO|ADDR))?$/.test(name) ||
    (name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value))
  )
}

function usageOf(key: string, option: Option): string {
  const flag = flagOf(key)
  return isBoolean(option) ? `${flag}, ${negationOf(flag)}` : `${flag} ${option.value}`
}

function isBoolean(option: Option): boolean {
  return option.value === undefined
}

function negationOf(flag: string): string {
  return flag.replace(/^--/, '--no-')
}

/** `maxQueue`: --max-queue */
export function flagOf(key: string): string {
  return `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

/** `maxQueue`: GLAZE_MAX_QUEUE */
export function variableOf(key: string): string {
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

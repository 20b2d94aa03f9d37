// The log: one line per event on stderr, as JSON for collectors or text for a terminal. It is this
// small that a logging package would only add a dependency and its worker threads.

/** From the most to the least talkative. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** `auto` is text if stderr is a terminal, else JSON lines. */
export const LOG_FORMATS = ['auto', 'json', 'text'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]

/** Named values beside the message; undefined ones are left out, errors appear with their stack. */
export type LogFields = Record<string, unknown>

type Write = (message: string, fields?: LogFields) => void

export interface Logger extends Record<LogLevel, Write> {
  /** A logger whose lines all carry these fields, for example a request id. */
  child(fields: LogFields): Logger
}

export interface LoggerOptions {
  /** Least level that is written; `info` if left out. */
  level?: LogLevel
  /** `auto` if left out. */
  format?: LogFormat
  /** Takes one whole event with its final newline; stderr if left out. */
  write?: (text: string) => void
}

/** Creates a logger; it holds no resources and need not be closed. */
export function createLogger(options: LoggerOptions = {}): Logger {
  const { level = 'info', format = 'auto' } = options
  const write = options.write ?? ((text: string) => void process.stderr.write(text))
  const isText = format === 'text' || (format === 'auto' && process.stderr.isTTY === true)
  const render = isText ? renderText : renderJson
  const lowest = LOG_LEVELS.indexOf(level)

  const bind = (bound: LogFields): Logger => {
    const at = (own: LogLevel): Write => {
      if (LOG_LEVELS.indexOf(own) < lowest) return () => {}
      return (message, fields) => write(render(new Date(), own, message, { ...bound, ...fields }))
    }
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (fields) => bind({ ...bound, ...fields }),
    }
  }
  return bind({})
}

function renderJson(time: Date, level: LogLevel, message: string, fields: LogFields): string {
  const fixed = { time: time.toISOString(), level, message }
  // Assigned twice: first to lead the line, last so that no field can take their place.
  const event = { ...fixed, ...fields, ...fixed }
  return `${JSON.stringify(event, (_key, value) => plain(value))}\n`
}

function renderText(time: Date, level: LogLevel, message: string, fields: LogFields): string {
  const pairs: string[] = []
  const stacks: string[] = []
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue
    if (value instanceof Error) stacks.push(plain(value) as string)
    else pairs.push(`${key}=${bareOrQuoted(value)}`)
  }
  const clock = time.toISOString().slice(11, 23)
  const line = [clock, level.toUpperCase().padEnd(5), oneLine(message), ...pairs].join(' ')
  const indented = stacks.map((stack) => `\n${escapeControls(stack).replaceAll(/^/gm, '  ')}`)
  return `${line}${indented.join('')}\n`
}

/** Values that JSON cannot hold, as text. */
function plain(value: unknown): unknown {
  if (value instanceof Error) {
    const cause = value.cause === undefined ? '' : `\ncaused by: ${String(plain(value.cause))}`
    return `${value.stack ?? String(value)}${cause}`
  }
  return typeof value === 'bigint' ? String(value) : value
}

function bareOrQuoted(value: unknown): string {
  if (typeof value === 'string' && /^[\w.:/@+-]+$/.test(value)) return value
  return escapeControls(JSON.stringify(value, (_key, inner) => plain(inner)) ?? String(value))
}

/** A message cannot forge a second line or steer the terminal. */
function oneLine(message: string): string {
  return escapeControls(message).replaceAll('\n', '\\n')
}

function escapeControls(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, (c) =>
    c === '\n' ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

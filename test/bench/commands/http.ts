// `bench http`: what the host's share of serving costs, over a device whose steps only take time.
import { resolve } from 'node:path'
import { z } from 'zod'
import { SERVE_OPTIONS } from '../../../src/config.ts'
import { truth, wholeNumber } from '../../../src/options.ts'
import { EMBEDDED_MODEL } from '../../../src/serve/model.ts'
import { Child } from '../http/child.ts'
import type { ClientTask, Route, ServerOptions, ServerUsage, StreamSpan } from '../http/messages.ts'
import { command, listOf, MODEL_OPTIONS } from '../options.ts'
import { number, percent, table, writeReport } from '../report.ts'
import { median, quantile, sum } from '../statistics.ts'

const STREAMS = [1, 8, 64]
const ROUTES: readonly Route[] = ['completions', 'chat']

const OPTIONS = {
  model: SERVE_OPTIONS.model,
  batches: listOf('Streams at once.', STREAMS.join(',')),
  tokens: {
    help: 'Tokens of each stream.',
    value: 'N',
    expects: 'a whole number from 8',
    type: wholeNumber(8, 1e6),
    fallback: '1000',
  },
  stepMs: {
    help: 'Milliseconds of a step on the device; with 0 the host alone sets the pace.',
    value: 'MS',
    expects: 'a number from 0 to 1000',
    type: z
      .string()
      .regex(/^\d+(\.\d+)?$/)
      .transform(Number)
      .pipe(z.number().max(1000)),
    fallback: '0',
  },
  poll: {
    help: 'Look for the end of a step at every turn of the event loop, as on a GPU, and show how late it is seen in place of CPU times.',
    expects: 'true or false',
    type: truth,
    fallback: 'false',
  },
  clients: {
    help: 'Processes that read the streams; it takes more than one where one is too slow.',
    value: 'N',
    expects: 'a whole number from 1 to 64',
    type: wholeNumber(1, 64),
    fallback: '1',
  },
  rounds: MODEL_OPTIONS.rounds,
  json: MODEL_OPTIONS.json,
}

interface HttpRow {
  route: Route
  streams: number
  tokensPerSecond: number
  /** From token to token at a client, mean of the streams. */
  tokenMs: number
  /** Microseconds of CPU time, of all threads, that the server needs for a token; without `poll`. */
  serverUs?: number
  /** That time as a share of a core. */
  serverLoad?: number
  /** Milliseconds from the end of a step to when the host saw it, that 99 % keep; with `poll`. */
  lateMs?: number
}

export const http = command(
  'what a token costs the host, over a device whose steps only take time',
  OPTIONS,
  async ({ model, batches = STREAMS, tokens, stepMs, poll, clients, rounds, json }) => {
    const folder = resolve(model ?? EMBEDDED_MODEL)
    const slots = Math.max(...batches)
    // Steps that take no time come back at the next turn; a timer would be later.
    const options: ServerOptions = { folder, stepMs, slots, polls: poll || stepMs === 0 }
    await using server = new Child<'usage', ServerUsage>(
      'server-process.ts',
      JSON.stringify(options),
    )
    await using readers = new AsyncDisposableStack()
    const url = await server.greeting<string>()
    const processes = Array.from({ length: clients }, () =>
      readers.use(new Child<ClientTask, StreamSpan[]>('client-process.ts')),
    )
    const rows: HttpRow[] = []
    for (const route of ROUTES) {
      for (const streams of batches) {
        const task = { url, route, streams, tokens }
        const round = () => measureRound(server, processes, task, poll)
        await round()
        const measured: HttpRow[] = []
        for (let i = 0; i < rounds; i++) measured.push(await round())
        rows.push(medians(measured))
      }
    }
    console.log(httpTable(rows))
    const settings = { tokens, stepMs, poll, clients, rounds }
    await writeReport(json, { command: 'http', settings, rows })
  },
)

async function measureRound(
  server: Child<'usage', ServerUsage>,
  clients: readonly Child<ClientTask, StreamSpan[]>[],
  task: ClientTask,
  polls: boolean,
): Promise<HttpRow> {
  const { route, streams, tokens } = task
  const begin = performance.now()
  await server.ask('usage')
  const answers = await Promise.all(
    clients.map((client, i) => client.ask({ ...task, streams: share(streams, clients.length, i) })),
  )
  const { cpuUs, lateness } = await server.ask('usage')
  const wallMs = performance.now() - begin
  const spans = answers.flat()
  const each = spans.map(({ firstAt, lastAt, tokens: seen }) => (lastAt - firstAt) / seen)
  const first = Math.min(...spans.map(({ firstAt }) => firstAt))
  const last = Math.max(...spans.map(({ lastAt }) => lastAt))
  return {
    route,
    streams,
    tokensPerSecond: (sum(spans.map((span) => span.tokens)) * 1000) / (last - first),
    tokenMs: sum(each) / each.length,
    ...(polls
      ? { lateMs: quantile(lateness, 0.99) }
      : { serverUs: cpuUs / (streams * tokens), serverLoad: cpuUs / 1000 / wallMs }),
  }
}

/** How many of the streams are those of the client at this place. */
function share(streams: number, clients: number, place: number): number {
  return Math.floor(streams / clients) + (place < streams % clients ? 1 : 0)
}

/** Of rounds that measured the same. */
function medians(rows: readonly HttpRow[]): HttpRow {
  const { route, streams, ...figures } = rows[0]
  const names = Object.keys(figures) as (keyof typeof figures)[]
  const entries = names.map((name) => [name, median(rows.map((row) => row[name]!))])
  return { route, streams, ...(Object.fromEntries(entries) as typeof figures) }
}

function httpTable(rows: readonly HttpRow[]): string {
  return table(
    [
      'route',
      'streams',
      'tokens/s',
      'ms a token',
      'server µs a token',
      'share of a core',
      'late ms',
    ],
    rows.map((row) => [
      row.route,
      `${row.streams}`,
      number(row.tokensPerSecond),
      number(row.tokenMs),
      number(row.serverUs),
      percent(row.serverLoad),
      number(row.lateMs),
    ]),
  )
}

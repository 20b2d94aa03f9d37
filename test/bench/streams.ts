// Streams of /v1/completions as a client sees them, with nothing but fetch.
import { quantile } from './statistics.ts'

/** What a stream had brought by a time. */
export interface Mark {
  /** Milliseconds of performance.now(). */
  at: number
  tokens: number
}

/** A stream that was read to its end. */
export interface StreamRun {
  /** When its request was sent, in milliseconds of performance.now(). */
  sent: number
  /** Its chunks that brought tokens, in order. */
  marks: Mark[]
}

/** Milliseconds that half, nine tenths and 99 % keep. */
export interface Percentiles {
  p50: number
  p90: number
  p99: number
}

/** The part of a chunk that is read here. */
interface Chunk {
  usage?: { completion_tokens: number } | null
  error?: { message: string }
}

/**
 * Opens streams at once, each of `tokens` tokens, and reads them to their ends.
 * @throws Error for a reply that is no stream or ends early
 */
export function readStreams(url: string, streams: number, tokens: number): Promise<StreamRun[]> {
  return Promise.all(Array.from({ length: streams }, (_, i) => readStream(url, 400 + i, tokens)))
}

/**
 * Milliseconds from one token to the next, mean of the streams, and tokens per second of all, both
 * while all of them run: from the last one's first chunk to the first one's last.
 * @throws Error if there is no such time
 */
export function streamFigures(runs: readonly Pick<StreamRun, 'marks'>[]): {
  tokenMs: number
  tokensPerSecond: number
} {
  const streams = runs.map(({ marks }) => marks)
  const begin = Math.max(...streams.map((marks) => marks[0].at))
  const end = Math.min(...streams.map((marks) => marks[marks.length - 1].at))
  if (begin >= end) {
    // Tokens without text bring no chunk: such streams begin late, perhaps with their ends.
    throw new Error('the streams did not run together: have all ids of the vocabulary a text?')
  }
  const tokens = streams.map((marks) => tokensBy(marks, end) - tokensBy(marks, begin))
  const total = tokens.reduce((sum, each) => sum + each, 0)
  return {
    tokenMs: ((end - begin) * streams.length) / total,
    tokensPerSecond: (total * 1000) / (end - begin),
  }
}

/**
 * From the request to the first token, and from chunk to chunk for each token that it brings: what a
 * reader waits for.
 */
export function latencies(runs: readonly StreamRun[]): { ttftMs: Percentiles; itlMs: Percentiles } {
  const between = runs.flatMap(({ marks }) =>
    marks.slice(1).map(({ at, tokens }, i) => (at - marks[i].at) / (tokens - marks[i].tokens)),
  )
  return {
    ttftMs: percentiles(runs.map(({ sent, marks }) => marks[0].at - sent)),
    itlMs: percentiles(between),
  }
}

function percentiles(values: readonly number[]): Percentiles {
  const [p50, p90, p99] = [0.5, 0.9, 0.99].map((share) => quantile(values, share))
  return { p50, p90, p99 }
}

/** Tokens that a stream had brought by a time, between two chunks a share of the later one's. */
function tokensBy(marks: readonly Mark[], time: number): number {
  const next = marks.findIndex(({ at }) => at > time)
  if (next < 0) return marks[marks.length - 1].tokens
  const [from, to] = [marks[next - 1], marks[next]]
  return from.tokens + ((to.tokens - from.tokens) * (time - from.at)) / (to.at - from.at)
}

async function readStream(url: string, id: number, tokens: number): Promise<StreamRun> {
  const sent = performance.now()
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      ...{ prompt: [1, id], max_tokens: tokens, temperature: 0, ignore_eos: true, stream: true },
      skip_special_tokens: false,
      // What a chunk has of text depends on the tokens; this counts them.
      stream_options: { include_usage: true, continuous_usage_stats: true },
    }),
  })
  if (!response.ok || response.body === null) {
    throw new Error(`status ${response.status}: ${await response.text()}`)
  }
  const marks: Mark[] = []
  let seen = 0
  for await (const data of events(response.body)) {
    const at = performance.now()
    const { usage, error } = JSON.parse(data) as Chunk
    if (error) throw new Error(error.message)
    const count = usage?.completion_tokens ?? 0
    // The last chunks repeat the count.
    if (count > seen) marks.push({ at, tokens: count })
    seen = Math.max(seen, count)
  }
  if (seen !== tokens) throw new Error(`a stream ended after ${seen} of ${tokens} tokens`)
  return { sent, marks }
}

/** The data of server-sent events up to [DONE]. */
async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of body) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (!line.startsWith('data: ')) continue
      const data = line.slice('data: '.length).trim()
      if (data === '[DONE]') return
      yield data
    }
  }
}

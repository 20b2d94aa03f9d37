// Streams of /v1/completions as a client sees them, with nothing but fetch.

export interface StreamTimes {
  /** Milliseconds of performance.now(), and tokens that had come by then. */
  first: { at: number; tokens: number }
  last: { at: number; tokens: number }
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
export function readStreams(url: string, streams: number, tokens: number): Promise<StreamTimes[]> {
  return Promise.all(Array.from({ length: streams }, (_, i) => readStream(url, 400 + i, tokens)))
}

/** Milliseconds from one token to the next while all streams run, and tokens per second of all. */
export function streamFigures(times: readonly StreamTimes[]): {
  tokenMs: number
  tokensPerSecond: number
} {
  const begin = Math.min(...times.map(({ first }) => first.at))
  const end = Math.max(...times.map(({ last }) => last.at))
  const tokens = times.reduce((sum, { first, last }) => sum + last.tokens - first.tokens, 0)
  const each = times.map(({ first, last }) => (last.at - first.at) / (last.tokens - first.tokens))
  return {
    tokenMs: each.reduce((sum, ms) => sum + ms, 0) / each.length,
    tokensPerSecond: (tokens * 1000) / (end - begin),
  }
}

async function readStream(url: string, id: number, tokens: number): Promise<StreamTimes> {
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      ...{ prompt: [1, id], max_tokens: tokens, temperature: 0, ignore_eos: true, stream: true },
      // What a chunk has of text depends on the tokens; this counts them.
      stream_options: { include_usage: true, continuous_usage_stats: true },
    }),
  })
  if (!response.ok || response.body === null) {
    throw new Error(`status ${response.status}: ${await response.text()}`)
  }
  let first: StreamTimes['first'] | undefined
  let last: StreamTimes['last'] | undefined
  for await (const data of events(response.body)) {
    const at = performance.now()
    const { usage, error } = JSON.parse(data) as Chunk
    if (error) throw new Error(error.message)
    const seen = usage?.completion_tokens ?? 0
    if (seen === 0) continue
    first ??= { at, tokens: seen }
    // The last chunks repeat the count.
    if (seen > (last?.tokens ?? 0)) last = { at, tokens: seen }
  }
  if (first === undefined || last?.tokens !== tokens) {
    throw new Error(`a stream ended after ${last?.tokens ?? 0} of ${tokens} tokens`)
  }
  return { first, last }
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

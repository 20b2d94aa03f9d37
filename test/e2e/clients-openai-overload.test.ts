// The official client, `openai`, against a server with one slot and no queue: retries, aborts.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import OpenAI, { RateLimitError } from 'openai'
import { checkingFetch } from '../helpers/checking-fetch.ts'
import { type ServerProcess, startServer } from '../helpers/server.ts'

setDefaultTimeout(60_000)

const model = 'tales-gla-5m'
const short = { model, prompt: 'Once', max_tokens: 2, temperature: 0 }
const endless = { ...short, max_tokens: 1_000_000, ignore_eos: true }

let server: ServerProcess

beforeAll(async () => {
  server = await startServer(['--max-num-seqs', '1', '--max-queue', '0'])
})

afterAll(() => server?.[Symbol.asyncDispose]())

/** A client; `onReply` sees every reply before the client does. */
function connect(maxRetries: number, onReply: (status: number) => void = () => {}): OpenAI {
  const checked = checkingFetch(async (url, init) => {
    const reply = await fetch(url, init)
    onReply(reply.status)
    return reply
  })
  return new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries, fetch: checked })
}

/** Takes the only slot; resolves once it is taken. */
async function holdSlot(): Promise<{ release: () => void }> {
  const stream = await connect(0).completions.create({ ...endless, stream: true })
  const chunks = stream[Symbol.asyncIterator]()
  await chunks.next()
  return { release: () => stream.controller.abort() }
}

test('429 says when to come back, and the client does', async () => {
  const holder = await holdSlot()
  const statuses: number[] = []
  const client = connect(2, (status) => {
    statuses.push(status)
    holder.release()
  })
  const started = performance.now()
  const reply = await client.completions.create(short)
  expect(reply.usage!.completion_tokens).toBe(2)
  expect(statuses).toEqual([429, 200])
  // The header asks for a second; without it the client would have waited for half of one.
  expect(performance.now() - started).toBeGreaterThan(950)
})

test('without retries it is an error of its own class', async () => {
  const holder = await holdSlot()
  const error = await connect(0)
    .completions.create(short)
    .catch((e) => e)
  holder.release()
  expect(error).toBeInstanceOf(RateLimitError)
  expect(error).toMatchObject({ status: 429, code: 'queue_full', type: 'rate_limit_error' })
  expect(error.headers.get('retry-after')).toBe('1')
})

/** Milliseconds until the slot is free again. */
async function timeToFree(): Promise<number> {
  const client = connect(0)
  const started = performance.now()
  for (;;) {
    const error = await client.completions.create(short).then(
      () => undefined,
      (reason) => reason,
    )
    if (error === undefined) return performance.now() - started
    if (!(error instanceof RateLimitError)) throw error
  }
}

test.each(['a stream', 'a stream that nobody reads', 'a reply'])(
  '%s that is aborted frees its slot within a second',
  async (kind) => {
    await timeToFree()
    if (kind === 'a stream') (await holdSlot()).release()
    else {
      const controller = new AbortController()
      const { signal } = controller
      const stream = kind !== 'a reply'
      const reply = connect(0).completions.create({ ...endless, stream }, { signal })
      const ended = reply.catch(() => {})
      if (stream) await ended
      // A reply that is not streamed shows by the slot that it is being made.
      else await untilTaken()
      controller.abort()
    }
    expect(await timeToFree()).toBeLessThan(1000)
  },
)

async function untilTaken(): Promise<void> {
  const client = connect(0)
  for (;;) {
    const error = await client.completions.create({ ...short, max_tokens: 0 }).catch((e) => e)
    if (error instanceof RateLimitError) return
  }
}

test('a timeout of the client frees the slot, too', async () => {
  await timeToFree()
  const client = connect(0)
  const error = await client.completions.create(endless, { timeout: 300 }).catch((e) => e)
  expect(error).toBeInstanceOf(OpenAI.APIConnectionTimeoutError)
  expect(await timeToFree()).toBeLessThan(1000)
})

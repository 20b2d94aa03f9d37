// 200 clients at once on a small server: what is let in is served whole, what is not is told to come
// back, and probes are answered throughout.

import { expect, test } from 'bun:test'
import { startServer } from '../helpers/server.ts'
import type { Json } from '../http/test-app.ts'

const CLIENTS = 200
const TOKENS = 8

/** Asks /health over and over in a process of its own, and prints how long each answer took. */
const PROBE = `
  const times = []
  process.on('SIGTERM', () => { console.log(JSON.stringify(times)); process.exit() })
  // The first request of a process takes the time that its client needs to begin.
  await fetch(process.argv[1] + '/health')
  console.log('begins')
  for (;;) {
    const start = performance.now()
    const { status } = await fetch(process.argv[1] + '/health')
    times.push(status === 200 ? performance.now() - start : Infinity)
    await Bun.sleep(10)
  }`

/** Probes are late as well where others keep both cores busy. */
const CROWD = { timeout: 60_000, retry: 2 }

test(
  'no error but 429, and /health within 50 ms',
  async () => {
    await using server = await startServer(['--max-num-seqs', '8', '--max-queue', '64'])
    const probe = Bun.spawn([process.execPath, '-e', PROBE, server.url], { stdout: 'pipe' })
    const output = probe.stdout.getReader()
    const begin = new TextDecoder().decode((await output.read()).value)
    expect(begin).toBe('begins\n')
    const replies = await Promise.all(
      Array.from({ length: CLIENTS }, async (_, i) => {
        const response = await fetch(`${server.url}/v1/completions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({
            prompt: `Client ${i} says`,
            ignore_eos: true,
            max_tokens: TOKENS,
          }),
        })
        const retryAfter = response.headers.get('retry-after')
        return { status: response.status, retryAfter, body: (await response.json()) as Json }
      }),
    )
    probe.kill('SIGTERM')
    let printed = ''
    for (let read = await output.read(); !read.done; read = await output.read()) {
      printed += new TextDecoder().decode(read.value)
    }
    const times: number[] = JSON.parse(printed)

    const served = replies.filter(({ status }) => status === 200)
    const refused = replies.filter(({ status }) => status === 429)
    expect(served.length + refused.length).toBe(CLIENTS)
    expect(served.length).toBeGreaterThanOrEqual(8 + 64)
    expect(refused.length).toBeGreaterThan(0)
    for (const { body } of served) expect(body.usage.completion_tokens).toBe(TOKENS)
    for (const { body, retryAfter } of refused) {
      expect(body.error).toMatchObject({ code: 'queue_full', type: 'rate_limit_error' })
      expect(Number(retryAfter)).toBeGreaterThan(0)
    }
    expect(times.length).toBeGreaterThan(20)
    expect(Math.max(...times)).toBeLessThan(50)
  },
  CROWD,
)

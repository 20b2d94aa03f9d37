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
  for (;;) {
    const start = performance.now()
    const { status } = await fetch(process.argv[1] + '/health')
    times.push(status === 200 ? performance.now() - start : Infinity)
    await Bun.sleep(10)
  }`

test('no error but 429, and /health within 50 ms', async () => {
  await using server = await startServer(['--max-num-seqs', '8', '--max-queue', '64'])
  const probe = Bun.spawn([process.execPath, '-e', PROBE, server.url], { stdout: 'pipe' })
  const replies = await Promise.all(
    Array.from({ length: CLIENTS }, async (_, i) => {
      const response = await fetch(`${server.url}/v1/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ prompt: `Client ${i} says`, ignore_eos: true, max_tokens: TOKENS }),
      })
      const retryAfter = response.headers.get('retry-after')
      return { status: response.status, retryAfter, body: (await response.json()) as Json }
    }),
  )
  probe.kill('SIGTERM')
  const times: number[] = JSON.parse(await new Response(probe.stdout).text())

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
  times.sort((a, b) => a - b)
  expect(times.length).toBeGreaterThan(20)
  // All of them on a machine of one's own; a few may be late where others compute, too.
  expect(times[Math.floor(times.length * 0.95)]).toBeLessThan(50)
  if (process.env.SHOW) console.log(times.length, 'probes', times.slice(-5))
}, 60_000)

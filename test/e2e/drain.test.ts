// SIGTERM to the real server: accepted requests finish, new ones are refused, then it leaves.

import { describe, expect, test } from 'bun:test'
import { runScript } from '../helpers/command.ts'
import { type ServerProcess, startServer } from '../helpers/server.ts'
import type { Json } from '../http/test-app.ts'

const TIMEOUT = 60_000

const complete = (server: ServerProcess, body: object) =>
  fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'Once', ignore_eos: true, ...body }),
  })

/** Resolves once the server answers /ready with this status. */
async function readyIs(server: ServerProcess, status: number): Promise<Json> {
  for (;;) {
    const response = await fetch(`${server.url}/ready`)
    if (response.status === status) return response.json()
    await response.body?.cancel()
  }
}

describe('SIGTERM', () => {
  test(
    'refuses new work while the running and the queued sample finish',
    async () => {
      await using server = await startServer(['--max-num-seqs', '1'])
      expect(await readyIs(server, 200)).toEqual({ status: 'ready' })
      // One slot: the second sample waits in the queue.
      const stream = await complete(server, { max_tokens: 100, n: 2, stream: true })

      server.process.kill('SIGTERM')
      expect(await readyIs(server, 503)).toMatchObject({ status: 'draining' })
      const refused = await complete(server, { max_tokens: 1 })
      expect(refused.status).toBe(503)
      expect(refused.headers.get('connection')).toBe('close')
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(((await refused.json()) as Json).error.code).toBe('draining')
      expect((await fetch(`${server.url}/health`)).status).toBe(200)

      const text = await stream.text()
      expect(text).toEndWith('data: [DONE]\n\n')
      expect(text.match(/"finish_reason":"length"/g)).toHaveLength(2)
      expect(await server.process.exited).toBe(0)
    },
    TIMEOUT,
  )

  test(
    'loses none of 20 open streams, running or queued',
    async () => {
      await using server = await startServer(['--max-num-seqs', '8', '--max-queue', '20'])
      const tokens = (i: number) => 20 + i
      const opened = Array.from({ length: 20 }, (_, i) =>
        complete(server, {
          ...{ max_tokens: tokens(i), stream: true },
          stream_options: { include_usage: true },
        }),
      )
      const streams = await Promise.all(opened)
      server.process.kill('SIGTERM')
      const texts = await Promise.all(streams.map((stream) => stream.text()))
      for (const [i, text] of texts.entries()) {
        expect(text).toContain(`"completion_tokens":${tokens(i)}`)
        expect(text).toContain('"finish_reason":"length"')
        expect(text).toEndWith('data: [DONE]\n\n')
      }
      expect(await server.process.exited).toBe(0)
      expect(server.output()).toContain('all requests have ended')
    },
    TIMEOUT,
  )

  test(
    'takes requests during --drain-delay while /ready says no',
    async () => {
      await using server = await startServer(['--drain-delay', '3600', '--shutdown-timeout', '0'])
      server.process.kill('SIGTERM')
      expect(await readyIs(server, 503)).toMatchObject({ status: 'draining' })
      expect((await complete(server, { max_tokens: 1 })).status).toBe(200)
      // One that comes at once is taken for the same wish.
      const again = setInterval(() => server.process.kill('SIGTERM'), 20)
      expect(await server.process.exited).toBe(0)
      clearInterval(again)
      expect(server.output()).toContain('SIGTERM again')
    },
    TIMEOUT,
  )

  test(
    'ends an idle server, whatever connections are open',
    async () => {
      await using server = await startServer(['--max-num-seqs', '1', '--shutdown-timeout', '3600'])
      await (await fetch(`${server.url}/v1/models`)).json()
      server.process.kill('SIGTERM')
      expect(await server.process.exited).toBe(0)
    },
    TIMEOUT,
  )

  test(
    'cuts after --shutdown-timeout with an error that clients can read',
    async () => {
      await using server = await startServer(['--max-num-seqs', '1', '--shutdown-timeout', '0.3'])
      const stream = await complete(server, { max_tokens: 1e6, n: 2, stream: true })
      server.process.kill('SIGTERM')
      const events = (await stream.text()).trimEnd().split('\n\n')
      const last = JSON.parse(events.at(-1)!.slice('data: '.length)) as Json
      expect(last.error).toMatchObject({ type: 'unavailable_error', code: 'request_aborted' })
      expect(await server.process.exited).toBe(0)
      expect(server.output()).toContain('--shutdown-timeout')
    },
    TIMEOUT,
  )

  test(
    'cuts what has not got as far as the engine, too',
    async () => {
      await using server = await startServer(['--max-num-seqs', '1', '--shutdown-timeout', '0.1'])
      // Each takes the better part of a second to compile, one after the other.
      const compiling = Array.from({ length: 12 }, (_, i) =>
        complete(server, {
          structured_outputs: { regex: `([^a]{0,300}[^b]{0,300}){0,15}q{${i + 1}}` },
        }),
      )
      const body = new ReadableStream({
        async start(controller) {
          controller.enqueue(new TextEncoder().encode('{"prompt'))
        },
      })
      const hanging = fetch(`${server.url}/v1/completions`, { method: 'POST', body })
      await compiling[0]
      server.process.kill('SIGTERM')
      const started = performance.now()
      const replies = await Promise.all([...compiling.slice(1), hanging])
      const errors = await Promise.all(replies.map((reply) => reply.json() as Promise<Json>))
      const codes = errors.filter(({ error }) => error).map(({ error }) => error.code)
      expect(codes.length).toBeGreaterThan(5)
      expect(new Set(codes)).toEqual(new Set(['request_aborted']))
      expect(replies.at(-1)!.status).toBe(503)
      expect(await server.process.exited).toBe(0)
      expect(performance.now() - started).toBeLessThan(3000)
      expect(server.output()).not.toContain('request failed')
    },
    TIMEOUT,
  )

  test(
    'ends a server that has loaded its model but does not serve yet',
    async () => {
      const args = ['--port', '0', '--chat-template', 'test/fixtures/chatml.jinja']
      const { stdout, code } = await runScript('test/helpers/stop-early.ts', args)
      expect(code).toBe(143)
      expect(stdout).not.toContain('serving')
    },
    TIMEOUT,
  )
})

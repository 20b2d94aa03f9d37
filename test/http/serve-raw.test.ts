// What no client library sends: requests without a usable host, connections that fall silent.

import { describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { serveApp } from '../../src/http/serve.ts'
import { type TestAppOptions, testApp } from './test-app.ts'

function start(options: TestAppOptions = {}) {
  const { app, engine, lines } = testApp(options)
  // Timers of sockets tick every four seconds: this is the shortest time that there is.
  const server = serveApp(app, { host: '127.0.0.1', port: 0, idleSeconds: 1 })
  return {
    ...{ engine, lines, url: server.url, open: () => new Socket(Number(new URL(server.url).port)) },
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

class Socket {
  readonly #socket
  text = ''
  isClosed = false
  #news = Promise.withResolvers<void>()

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1')
    this.#socket.on('data', (bytes) => {
      this.text += bytes
      this.#news.resolve()
    })
    this.#socket.on('close', () => {
      this.isClosed = true
      this.#news.resolve()
    })
  }

  /** Lines of a head, and a body. */
  send(head: readonly string[], body = ''): this {
    this.#socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
    return this
  }

  /** Everything that came, once it has this in it. */
  async until(part: string): Promise<string> {
    while (!this.text.includes(part) && !this.isClosed) await this.#next()
    return this.text
  }

  /** Everything that came until the server closed. */
  async closed(): Promise<string> {
    while (!this.isClosed) await this.#next()
    return this.text
  }

  close(): void {
    this.#socket.destroy()
  }

  #next(): Promise<void> {
    this.#news = Promise.withResolvers()
    return this.#news.promise
  }
}

describe('a request without a usable host', () => {
  const HEADS: [string, string[]][] = [
    ['HTTP/1.0', []],
    ['HTTP/1.1', ['host:']],
    ['HTTP/1.1', ['host: a b']],
    ['HTTP/1.1', ['host: x/health?']],
    ['HTTP/1.1', ['host: user@x']],
    ['HTTP/1.1', ['host: x:99999']],
  ]
  const heads = HEADS.map(([version, headers]): [string, string, string[]] => {
    return [`${version} ${headers.join()}`, version, headers]
  })

  test.each(heads)(
    '%s finds what it asks for and nothing else',
    async (_name, version, headers) => {
      await using server = start()
      const expected: [string, number, string][] = [
        ['/health', 200, '"status":"ok"'],
        ['/v1/models/tales?a=b', 200, '"owned_by":"glaze"'],
        ['/xx/v1/models', 404, 'there is no GET /xx/v1/models'],
        ['//evil/health', 404, 'there is no GET //evil/health'],
        ['/docs', 200, `curl ${server.url}/v1/models`],
      ]
      for (const [path, status, part] of expected) {
        const socket = server.open().send([`GET ${path} ${version}`, ...headers])
        expect(await socket.until(part)).toContain(part)
        expect(socket.text).toStartWith(`HTTP/1.1 ${status} `)
        socket.close()
      }
      expect(server.lines.filter(({ level }) => level === 'error')).toEqual([])
    },
  )

  test('brings its body and may hang up', async () => {
    await using server = start({ words: 'manual' })
    const body = '{"prompt": "x"}'
    const head = ['POST /v1/completions HTTP/1.0', `content-length: ${body.length}`]
    const staying = server.open().send(head, body)
    const [first] = await server.engine.submitted(1)
    first.finish('stop', 'answered')
    expect(await staying.closed()).toContain('answered')
    const leaving = server.open().send(head, body)
    const [, second] = await server.engine.submitted(2)
    leaving.close()
    await second.aborted
  })
})

test('silence ends a connection but while the server works on its request', async () => {
  await using server = start({ words: 'manual', limits: { pingIntervalMs: 1e6 } })
  const head = (length: number) => [
    'POST /v1/completions HTTP/1.1',
    'host: x',
    `content-length: ${length}`,
  ]
  const post = (body: object) => {
    const text = JSON.stringify(body)
    return server.open().send(head(text.length), text)
  }
  const whole = post({ prompt: 'x' })
  await server.engine.submitted(1)
  const stream = post({ prompt: 'x', stream: true })
  await server.engine.submitted(2)
  const done = post({ prompt: 'x', stream: true })
  const generations = await server.engine.submitted(3)
  generations[2].finish('stop', 'done')
  await done.until('[DONE]')
  const asked = server.open().send(['GET /v1/models HTTP/1.1', 'host: x'])
  await asked.until('tales')

  const hung = server.open().send(head(100), '{"prompt')
  expect(await hung.closed()).toBe('')
  await Promise.all([asked.closed(), done.closed()])
  while (server.lines.length < 3) await new Promise(setImmediate)
  expect(server.lines.map(({ level, status }) => [level, status])).toEqual([
    ['info', 200],
    ['info', 200],
    ['info', 499],
  ])

  expect([whole.isClosed, stream.isClosed]).toEqual([false, false])
  for (const generation of generations) generation.finish('stop', 'at last')
  expect(await whole.until('at last')).toContain('at last')
  expect(await stream.until('[DONE]')).toContain('at last')
  // They are idle from here on.
  await Promise.all([whole.closed(), stream.closed()])
}, 30_000)

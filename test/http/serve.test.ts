// What only shows on a real socket: clients that hang up, headers that wait, bodies that are huge.

import { describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { ConfigError } from '../../src/errors.ts'
import { serveApp } from '../../src/http/serve.ts'
import { type Json, type TestAppOptions, testApp } from './test-app.ts'

function start(options: TestAppOptions = {}) {
  const { app, engine, lines } = testApp(options)
  const server = serveApp(app, { host: '127.0.0.1', port: 0 })
  const post = (body: object, init: RequestInit = {}) =>
    fetch(`${server.url}/v1/completions`, { method: 'POST', body: JSON.stringify(body), ...init })
  return {
    ...{ engine, lines, post, url: server.url, server },
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

describe('a client that hangs up', () => {
  test.each([
    ['before the first token of a stream', true, false],
    ['amid a stream', true, true],
    ['while it waits for a whole reply', false, false],
    ['while a whole reply is under way', false, true],
  ])('%s frees its slots', async (_name, stream, isUnderWay) => {
    await using server = start({ words: 'manual' })
    const client = new AbortController()
    const outcome = server.post({ prompt: ['a', 'b'], stream }, { signal: client.signal }).then(
      (response) => response.status,
      (error) => error.name,
    )
    const generations = await server.engine.submitted(2)
    if (isUnderWay) generations[0].emit('Once')
    // A stream's status line and headers come before its first token.
    if (stream) expect(await outcome).toBe(200)
    client.abort()
    await Promise.all(generations.map((generation) => generation.aborted))
    if (!stream) expect(await outcome).toBe('AbortError')
    while (server.lines.length === 0) await new Promise(setImmediate)
    expect(server.lines).toEqual([expect.objectContaining({ finish: { abort: 2 } })])

    const next = server.post({ prompt: 'x' })
    const [, , generation] = await server.engine.submitted(3)
    generation.finish('stop', 'fine')
    expect(((await (await next).json()) as Json).choices[0].text).toBe('fine')
  })

  test('aborts nothing but its own request', async () => {
    await using server = start({ words: 'manual' })
    const client = new AbortController()
    const kept = server.post({ prompt: 'a', stream: true })
    const [first] = await server.engine.submitted(1)
    const left = await Promise.all([
      server.engine.submitted(2),
      server.post({ prompt: 'b', stream: true }, { signal: client.signal }),
    ])
    client.abort()
    await left[0][1].aborted
    first.finish('stop', 'still here')
    expect(await (await kept).text()).toContain('still here')
    expect(first.isAborted).toBe(false)
  })
})

describe('bodies on the wire', () => {
  test('one above the limit gets 413 with an error body', async () => {
    await using server = start()
    for (const size of [5, 50]) {
      const response = await server.post({ prompt: 'x'.repeat(size * 2 ** 20) })
      expect(response.status).toBe(413)
      expect(((await response.json()) as Json).error.code).toBe('request_too_large')
    }
    expect((await server.post({ prompt: 'x' })).status).toBe(200)
  })

  test('one that is announced beyond all bounds gets 413 before it is sent', async () => {
    await using server = start()
    const { promise, resolve } = Promise.withResolvers<string>()
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    socket.on('data', (data) => resolve(String(data)))
    socket.write(
      'POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 999999999999\r\n\r\n{"prompt',
    )
    expect(await promise).toStartWith('HTTP/1.1 413')
    socket.destroy()
    expect((await server.post({ prompt: 'x' })).status).toBe(200)
  })

  test('one whose sender hangs up half-way is no fault of ours', async () => {
    await using server = start()
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    const half = '{"prompt": "x'
    socket.write(
      `POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n${half}`,
      () => socket.destroy(),
    )
    expect((await server.post({ prompt: 'x' })).status).toBe(200)
    expect(server.engine.generations.length).toBe(1)
    while (server.lines.length < 2) await new Promise(setImmediate)
    expect(server.lines.map((line) => line.status).sort()).toEqual([200, 499])
    expect(server.lines.filter((line) => line.level === 'error')).toEqual([])
  })

  test('one in chunks is put together', async () => {
    await using server = start()
    const parts = ['{"prompt": ', '"x", "max', '_tokens": 1}']
    const body = new ReadableStream({
      async start(controller) {
        for (const part of parts) {
          controller.enqueue(new TextEncoder().encode(part))
          await new Promise(setImmediate)
        }
        controller.close()
      },
    })
    const response = await server.post({}, { body })
    expect(((await response.json()) as Json).choices[0].text).toBe('Once')
  })
})

describe('the server', () => {
  test('keeps a silent stream open with comments', async () => {
    await using server = start({ words: 'manual', limits: { pingIntervalMs: 5 } })
    const response = await server.post({ prompt: 'x', stream: true })
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    while (text.split(': ping\n\n').length < 4) text += (await reader.read()).value
    server.engine.generations[0].finish('stop', 'at last')
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      text += value
    }
    expect(text).toContain('at last')
    expect(text).toEndWith('data: [DONE]\n\n')
  })

  test('stops after the requests that run, and refuses new ones meanwhile', async () => {
    await using server = start({ words: 'manual' })
    const response = await server.post({ prompt: 'x', stream: true })
    const stopped = server.server.stop()
    const late = fetch(`${server.url}/health`, { keepalive: false })
    expect(await late.catch((error) => error.code)).toBe('ECONNREFUSED')
    server.engine.generations[0].finish('stop', 'to the end')
    expect(await response.text()).toContain('to the end')
    await stopped
  })

  test('names the address that it cannot have', async () => {
    await using server = start()
    const port = Number(new URL(server.url).port)
    const { app } = testApp()
    const again = () => serveApp(app, { host: '127.0.0.1', port })
    expect(again).toThrow(ConfigError)
    expect(again).toThrow(`--host 127.0.0.1 --port ${port}`)
  })
})

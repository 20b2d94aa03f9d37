// A server that is told to stop: what runs finishes, what comes is refused.

import { describe, expect, test } from 'bun:test'
import { Drain } from '../../src/http/guard/drain.ts'
import { serveApp } from '../../src/http/serve.ts'
import { guardedApp } from './guarded-app.ts'
import { type Json, readEvents } from './test-app.ts'

function draining() {
  const drain = new Drain()
  return { drain, ...guardedApp({ drain }) }
}

/** A body that is sent when the test says so. */
function slowBody() {
  const sending = Promise.withResolvers<string>()
  const body = new ReadableStream({
    async start(controller) {
      controller.enqueue(new TextEncoder().encode(await sending.promise))
      controller.close()
    },
  })
  return { body, send: sending.resolve }
}

/** Whether a promise is settled once everything that can run has run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  promise.then(() => {
    settled = true
  })
  await new Promise(setImmediate)
  return settled
}

describe('a drain', () => {
  test('of an idle server is over at once', async () => {
    const { app, drain, complete, engine } = draining()
    await app.request('/v1/models')
    const whole = complete()
    const [generation] = await engine.submitted(1)
    generation.finish('stop')
    await whole
    expect(drain.running).toBe(0)
    expect(await isSettled(drain.begin())).toBe(true)
  })

  test('waits for whole replies and streams, not for bodies that are on their way', async () => {
    const { app, drain, engine, complete } = draining()
    const whole = complete({ n: 2 })
    await engine.submitted(2)
    const stream = await complete({ stream: true })
    const slow = slowBody()
    const late = app.request('/v1/completions', { method: 'POST', body: slow.body })
    expect(drain.running).toBe(2)
    const over = drain.begin()

    engine.generations[0].finish('stop', 'a')
    expect(await isSettled(over)).toBe(false)
    engine.generations[1].finish('stop', 'b')
    expect((await whole).status).toBe(200)
    expect((await whole).headers.get('connection')).toBe('close')
    expect(await isSettled(over)).toBe(false)
    engine.generations[2].finish('stop', 'c')
    expect((await readEvents(stream)).at(-1)).toBe('data: [DONE]')
    await over

    slow.send('{"prompt": "late"}')
    const refused = await late
    expect(refused.status).toBe(503)
    expect(((await refused.json()) as Json).error.code).toBe('draining')
    expect(engine.generations.length).toBe(3)
    expect(drain.running).toBe(0)
  })

  test('that is cut answers all that waits: bodies, grammars and generations', async () => {
    const { app, drain, engine, grammars, lines, complete } = draining()
    const compiling = Promise.withResolvers<never>()
    grammars.compile = () => compiling.promise
    const slow = slowBody()
    const waiting = [
      app.request('/v1/completions', { method: 'POST', body: slow.body }),
      complete({ structured_outputs: { regex: 'a' } }),
      complete({ structured_outputs: { regex: 'a' }, stream: true }),
      complete(),
    ]
    const [generation] = await engine.submitted(1)
    expect(drain.running).toBe(3)
    drain.cut()
    for (const response of await Promise.all(waiting)) {
      expect(response.status).toBe(503)
      expect(response.headers.get('connection')).toBe('close')
      expect(((await response.json()) as Json).error).toEqual({
        message: 'the server stopped this request before it was finished',
        ...{ type: 'unavailable_error', param: null, code: 'request_aborted' },
      })
    }
    expect(drain.running).toBe(0)

    // What comes of it later is nobody's fault.
    compiling.reject(new Error('the grammar engine was closed'))
    slow.send('{"prompt": "late"}')
    generation.abort()
    await new Promise(setImmediate)
    expect(engine.generations.length).toBe(1)
    expect(lines.filter(({ level }) => level !== 'info')).toEqual([])
    expect(lines.map(({ status }) => status)).toEqual([503, 503, 503, 503])
    expect(drain.running).toBe(0)
  })

  test('does not wait for clients that are gone, nor for requests that failed', async () => {
    const { drain, engine, complete } = draining()
    const stream = await complete({ stream: true })
    expect((await complete({ prompt: '' })).status).toBe(400)
    const failing = complete()
    await engine.submitted(2)
    const over = drain.begin()
    await stream.body!.cancel()
    expect(await isSettled(over)).toBe(false)
    engine.generations[1].fail(new Error('broken'))
    expect((await failing).status).toBe(500)
    await over
    expect(engine.generations[0].isAborted).toBe(true)
  })

  test('refuses work and says when to come back', async () => {
    const { app, drain, engine, complete } = draining()
    drain.begin()
    for (const path of ['/v1/completions', '/tokenize', '/v1/responses/input_tokens']) {
      const response = await app.request(path, { method: 'POST', body: '{"prompt": "x"}' })
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('2')
      expect(response.headers.get('connection')).toBe('close')
      expect(response.headers.has('x-request-id')).toBe(true)
      expect(await response.json()).toEqual({
        error: {
          message: expect.stringContaining('shutting down'),
          ...{ type: 'unavailable_error', param: null, code: 'draining' },
        },
      })
    }
    expect((await complete()).status).toBe(503)
    expect(engine.generations).toEqual([])
    expect(drain.running).toBe(0)
  })

  test.each<[string, string, number]>([
    ['POST', '/v1/nothing', 404],
    ['POST', '/health', 405],
    ['PUT', '/v1/completions', 405],
    ['DELETE', '/v1/responses/x', 404],
  ])('is no reason for another reply to %s %s', async (method, path, status) => {
    const { app, drain } = draining()
    drain.begin()
    expect((await app.request(path, { method })).status).toBe(status)
  })

  test('leaves the probes to say so', async () => {
    const { app, drain } = draining()
    expect((await app.request('/ready')).status).toBe(200)
    drain.begin()
    const ready = await app.request('/ready')
    expect(ready.status).toBe(503)
    expect(ready.headers.get('retry-after')).toBe('2')
    expect(await ready.json()).toEqual({ status: 'draining', reason: expect.any(String) })
    expect((await app.request('/health')).status).toBe(200)
    expect((await app.request('/v1/models')).status).toBe(200)
  })
})

test('on a socket, a refused client loses its connection and the running one does not', async () => {
  const { app, drain, engine } = draining()
  await using server = serveApp(app, { host: '127.0.0.1', port: 0 })
  const url = `${server.url}/v1/completions`
  const post = (body: object) => fetch(url, { method: 'POST', body: JSON.stringify(body) })
  const stream = await post({ prompt: 'x', stream: true })
  const over = drain.begin()
  const refused = await post({ prompt: 'y' })
  expect(refused.status).toBe(503)
  expect(refused.headers.get('connection')).toBe('close')
  expect((await fetch(`${server.url}/ready`)).status).toBe(503)
  engine.generations[0].finish('stop', 'to the end')
  await over
  await server.stop()
  expect(await stream.text()).toContain('to the end')
})

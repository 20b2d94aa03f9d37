import { describe, expect, test } from 'bun:test'
import { type Json, readEvents, testApp } from './test-app.ts'

const json = async (response: Response): Promise<Json> => response.json()

describe('GET /v1/models', () => {
  const model = (id: string) => ({
    id,
    object: 'model',
    created: 1_700_000_000,
    owned_by: 'glaze',
    max_model_len: 2048,
  })

  test('lists every name of the model', async () => {
    const { app } = testApp({ model: { maxModelLen: 2048 } })
    const response = await app.request('/v1/models')
    expect(await json(response)).toEqual({ object: 'list', data: [model('tales'), model('alias')] })
  })

  test('finds one by its name, which may have slashes', async () => {
    const { app } = testApp({ model: { ids: ['org/tales'], maxModelLen: 2048 } })
    expect(await json(await app.request('/v1/models/org/tales'))).toEqual(model('org/tales'))
    const missing = await app.request('/v1/models/tales')
    expect(missing.status).toBe(404)
    expect((await json(missing)).error).toMatchObject({ param: 'model', code: 'model_not_found' })
  })
})

describe('GET /health', () => {
  test('is 200 while the engine works, however full the queue', async () => {
    const { app, engine, lines } = testApp()
    engine.state = { ...engine.state, freeSlots: 0, waiting: 10_000 }
    const response = await app.request('/health')
    expect(response.status).toBe(200)
    expect(await json(response)).toEqual({ status: 'ok' })
    expect(lines).toEqual([])
  })

  test('is 503 with the reason once it does not', async () => {
    const { app, engine, lines } = testApp()
    engine.state = { ...engine.state, fault: 'the GPU was lost' }
    const response = await app.request('/health')
    expect(response.status).toBe(503)
    expect(await json(response)).toEqual({ status: 'error', reason: 'the GPU was lost' })
    expect(lines[0]).toMatchObject({ path: '/health', status: 503 })
  })
})

describe('routes', () => {
  test.each<[string, string, number, string]>([
    ['GET', '/', 404, 'not_found'],
    ['POST', '/v1/chat/completion', 404, 'not_found'],
    ['GET', '/v1/completions', 405, 'method_not_allowed'],
    ['DELETE', '/v1/models', 405, 'method_not_allowed'],
    ['POST', '/v1/models/tales', 405, 'method_not_allowed'],
    ['POST', '/health', 405, 'method_not_allowed'],
  ])('%s %s is %d', async (method, path, status, code) => {
    const { app } = testApp()
    const response = await app.request(path, { method })
    expect(response.status).toBe(status)
    const { error } = await json(response)
    expect(Object.keys(error).sort()).toEqual(['code', 'message', 'param', 'type'])
    expect(error).toMatchObject({ code, param: null })
    expect(error.message).toContain(`${method}`)
    expect(response.headers.has('x-request-id')).toBe(true)
    expect(response.headers.has('allow')).toBe(status === 405)
  })
})

describe('request ids', () => {
  const idOf = async (asked: string | undefined) => {
    const { app } = testApp()
    const headers: Record<string, string> = asked === undefined ? {} : { 'x-request-id': asked }
    return (await app.request('/v1/models', { headers })).headers.get('x-request-id')
  }

  test.each(['a', 'Trace_1.2-3', 'x'.repeat(128)])('%s is kept', async (asked) => {
    expect(await idOf(asked)).toBe(asked)
  })

  test.each([undefined, '', 'a b', 'x'.repeat(129), 'a"b', 'ä'])(
    '%p is replaced',
    async (asked) => {
      const id = await idOf(asked)
      expect(id).toMatch(/^[0-9a-f-]{36}$/)
      expect(id).not.toBe(await idOf(asked))
    },
  )
})

describe('the log', () => {
  const REQUEST = { prompt: 'a very secret prompt', max_tokens: 3 }

  test('gets one line per request, without its text', async () => {
    const { lines, post } = testApp({ words: ['hidden', ' word'] })
    await post(REQUEST, {
      headers: { 'content-type': 'application/json', 'x-request-id': 'id-1' },
    })
    expect(lines).toEqual([
      {
        time: expect.any(String),
        level: 'info',
        message: 'request',
        id: 'id-1',
        method: 'POST',
        path: '/v1/completions',
        status: 200,
        stream: false,
        finish: { stop: 1 },
        prompt_tokens: 5,
        cached_tokens: 0,
        completion_tokens: 2,
        ttft_ms: expect.any(Number),
        total_ms: expect.any(Number),
      },
    ])
    expect(lines[0].ttft_ms).toBeLessThanOrEqual(lines[0].total_ms)
    expect(JSON.stringify(lines)).not.toMatch(/secret|hidden/)
  })

  test('gets the line of a stream when the stream has ended', async () => {
    const { engine, lines, post } = testApp({ words: 'manual' })
    const response = await post({ ...REQUEST, n: 2, stream: true })
    const [first, second] = engine.generations
    first.emit('hidden')
    first.finish('stop')
    expect(lines).toEqual([])
    second.finish('length')
    await readEvents(response)
    while (lines.length === 0) await new Promise(setImmediate)
    expect(lines).toEqual([
      expect.objectContaining({
        status: 200,
        stream: true,
        finish: { stop: 1, length: 1 },
        prompt_tokens: 5,
        completion_tokens: 1,
      }),
    ])
  })

  test('gets a line without token counts for a request that was refused', async () => {
    const { lines, post } = testApp()
    await post({ prompt: '' })
    expect(lines.length).toBe(1)
    expect(lines[0]).toMatchObject({ status: 400, level: 'info' })
    expect(lines[0]).not.toHaveProperty('finish')
    expect(lines[0]).not.toHaveProperty('prompt_tokens')
  })
})

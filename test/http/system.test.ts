import { describe, expect, test } from 'bun:test'
import { createLoadingApp } from '../../src/http/app.ts'
import { health } from '../../src/http/system/status.ts'
import { createLogger } from '../../src/log.ts'
import { collect, makeRequest, openFakeEngine } from '../helpers/fake-runner.ts'
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
    const { app, engine, lines } = testApp({ logLevel: 'debug' })
    engine.state = { ...engine.state, fault: 'the GPU was lost' }
    const response = await app.request('/health')
    expect(response.status).toBe(503)
    expect(await json(response)).toEqual({ status: 'error', reason: 'the GPU was lost' })
    expect(lines[0]).toMatchObject({ level: 'debug', path: '/health', status: 503 })
  })
})

test('the reason of GET /health, which needs no key, tells nothing of the inside', async () => {
  const { engine, runner } = await openFakeEngine({ onError: () => {} })
  runner.error = new Error('cannot read /srv/secret')
  await collect(engine.submit(makeRequest())).catch(() => {})
  const response = health(engine, 1000)
  expect(response.status).toBe(503)
  const { reason } = await json(response)
  expect(reason).toContain('log')
  expect(reason).not.toContain('secret')
})

describe('a GPU that does not come back', () => {
  const limits = { healthTimeoutMs: 1000 }

  test('makes GET /health 503, and says for how long', async () => {
    const { app, engine } = testApp({ limits })
    engine.state = { ...engine.state, silentMs: 2500 }
    for (const path of ['/health', '/health/live']) {
      const response = await app.request(path)
      expect(response.status).toBe(503)
      expect((await json(response)).reason).toBe('the GPU has not finished a step for 2 s')
    }
  })

  test('has its time', async () => {
    const { app, engine } = testApp({ limits })
    engine.state = { ...engine.state, silentMs: 1000 }
    expect((await app.request('/health')).status).toBe(200)
  })
})

describe('GET /ready', () => {
  test('is 200 even if the queue is full', async () => {
    const { app, engine, lines } = testApp()
    engine.state = { ...engine.state, freeSlots: 0, waiting: 10_000 }
    const response = await app.request('/ready')
    expect(response.status).toBe(200)
    expect(await json(response)).toEqual({ status: 'ready' })
    expect(lines).toEqual([])
  })

  test('is 503 with the reason once the engine has failed', async () => {
    const { app, engine } = testApp()
    engine.state = { ...engine.state, fault: 'the GPU was lost' }
    const response = await app.request('/ready')
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('2')
    expect(await json(response)).toEqual({ status: 'error', reason: 'the GPU was lost' })
  })
})

test.each(['/health', '/health/live', '/ready', '/health/ready'])(
  'GET %s tells a lost device from other faults',
  async (path) => {
    const { app, engine } = testApp()
    engine.state = { ...engine.state, fault: 'the GPU device was lost: x', isDeviceLost: true }
    const response = await app.request(path)
    expect(response.status).toBe(503)
    const reason = 'the GPU device was lost: x'
    expect(await json(response)).toEqual({ status: 'device_lost', reason })
  },
)

test('GET /version', async () => {
  const { app } = testApp()
  const response = await app.request('/version')
  expect(await json(response)).toEqual({ version: '1.2.3', model: 'tales' })
})

describe('while the model is loaded', () => {
  const app = createLoadingApp(createLogger({ write: () => {} }))

  test.each(['/health', '/ready', '/health/live', '/health/ready'])('%s says so', async (path) => {
    const response = await app.request(path)
    expect(response.status).toBe(503)
    expect(await json(response)).toEqual({ status: 'loading', reason: expect.any(String) })
  })

  test.each(['GET /v1/models', 'POST /v1/completions', 'GET /nothing'])(
    '%s is an error that invites to come back',
    async (route) => {
      const [method, path] = route.split(' ')
      const response = await app.request(path, { method, headers: { 'x-request-id': 'id-1' } })
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('2')
      expect(response.headers.get('x-request-id')).toBe('id-1')
      expect((await json(response)).error).toMatchObject({ code: 'loading', param: null })
    },
  )
})

describe('routes', () => {
  test.each(['/health', '/ready', '/version', '/v1/models', '/openapi.json', '/docs'])(
    'HEAD %s is GET without its body',
    async (path) => {
      const { app } = testApp()
      const response = await app.request(path, { method: 'HEAD' })
      expect(response.status).toBe(200)
      expect(await response.text()).toBe('')
      const get = await app.request(path)
      expect(response.headers.get('content-type')).toBe(get.headers.get('content-type'))
    },
  )

  test.each([
    ['/v1/completions', 'POST'],
    ['/v1/models/tales', 'GET, HEAD'],
    ['/tokenize', 'POST'],
  ])('OPTIONS %s tells the methods', async (path, allowed) => {
    const { app } = testApp()
    const response = await app.request(path, { method: 'OPTIONS' })
    expect(response.status).toBe(204)
    expect(response.headers.get('allow')).toBe(allowed)
  })

  test.each<[string, string, number, string]>([
    ['GET', '/nothing', 404, 'not_found'],
    ['POST', '/v1/chat/completion', 404, 'not_found'],
    ['GET', '/v1/completions', 405, 'method_not_allowed'],
    ['DELETE', '/v1/models', 405, 'method_not_allowed'],
    ['POST', '/v1/models/tales', 405, 'method_not_allowed'],
    ['POST', '/health', 405, 'method_not_allowed'],
    ['PUT', '/ready', 405, 'method_not_allowed'],
    ['GET', '/v1/tokenize', 405, 'method_not_allowed'],
    ['OPTIONS', '/nothing', 404, 'not_found'],
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

describe('a fault', () => {
  test.each<[string, unknown]>([
    ['an error', new Error('secret')],
    ['a thrown text', 'secret'],
    ['nothing at all', undefined],
  ])('that is %s gets status 500, a line in the log, and an end', async (_name, fault) => {
    const { engine, lines, post } = testApp({ logLevel: 'debug' })
    engine.refuse = () => {
      throw fault
    }
    const response = await post({ prompt: 'x' })
    expect(response.status).toBe(500)
    const { error } = await json(response)
    expect(error).toMatchObject({ type: 'server_error', code: 'internal_error' })
    expect(error.message).toContain(response.headers.get('x-request-id'))
    expect(error.message).not.toContain('secret')
    expect(lines.map(({ level, message }) => [level, message])).toEqual([
      ['error', 'request failed'],
      ['info', 'request'],
    ])
  })

  test('is logged even if the client has gone', async () => {
    const client = new AbortController()
    const { engine, lines, post } = testApp()
    engine.refuse = () => {
      client.abort()
      throw new Error('broken')
    }
    expect((await post({ prompt: 'x' }, { signal: client.signal })).status).toBe(499)
    expect(lines.map(({ message, status }) => [message, status])).toEqual([
      ['request failed', undefined],
      ['request', 499],
    ])
  })

  test('of a route outside the guards ends its request, too', async () => {
    const { app, engine, lines } = testApp({ logLevel: 'debug' })
    engine.stats = () => {
      throw 'no Error'
    }
    expect((await app.request('/health')).status).toBe(500)
    expect(lines.map(({ message }) => message)).toEqual(['request failed', 'request'])
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
        model: 'tales',
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

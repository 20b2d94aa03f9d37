// What web pages of other origins may do: nothing, unless their origin is allowed.

import { describe, expect, test } from 'bun:test'
import { createLoadingApp } from '../../src/http/app.ts'
import { createLogger } from '../../src/log.ts'
import { type GuardedAppOptions, guardedApp } from './guarded-app.ts'
import { readEvents } from './test-app.ts'

const PAGE = 'https://app.example'

function preflight(
  options: GuardedAppOptions,
  origin = PAGE,
  headers: Record<string, string> = {},
) {
  return guardedApp(options).app.request('/v1/completions', {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', ...headers },
  })
}

/** The headers of a response that tell a browser what a page may do. */
function granted(response: Response): Record<string, string> {
  const entries = [...response.headers].filter(([name]) => name.startsWith('access-control-'))
  return Object.fromEntries(entries)
}

describe('by default', () => {
  test('no page may call', async () => {
    const { app } = guardedApp()
    const response = await app.request('/v1/models', { headers: { origin: PAGE } })
    expect(response.status).toBe(200)
    expect(granted(response)).toEqual({})
    expect(granted(await preflight({}))).toEqual({})
  })

  test('a preflight is a request like others', async () => {
    expect((await preflight({})).status).toBe(204)
    expect((await preflight({ apiKeys: ['k'] })).status).toBe(401)
  })
})

describe('a preflight', () => {
  test('of an allowed page passes without a key, whatever headers its client adds', async () => {
    const wanted = 'authorization,content-type,x-stainless-os,x-stainless-retry-count'
    const headers = { 'access-control-request-headers': wanted, 'x-request-id': 'id-1' }
    const response = await preflight({ apiKeys: ['k'], allowedOrigins: [PAGE] }, PAGE, headers)
    expect(response.status).toBe(204)
    expect(granted(response)).toMatchObject({
      'access-control-allow-origin': PAGE,
      'access-control-allow-headers': wanted,
      'access-control-max-age': '600',
    })
    const methods = response.headers.get('access-control-allow-methods')!.split(',')
    expect(methods).toEqual(expect.arrayContaining(['GET', 'POST', 'DELETE', 'OPTIONS']))
    expect(response.headers.get('vary')).toContain('Origin')
    expect(response.headers.has('access-control-allow-credentials')).toBe(false)
    expect(response.headers.get('x-request-id')).toBe('id-1')
  })

  test.each([
    'https://other.example',
    'http://app.example',
    `${PAGE}:8443`,
    `${PAGE}.evil`,
    'null',
  ])('of %s does not', async (origin) => {
    const response = await preflight({ allowedOrigins: [PAGE] }, origin)
    expect(response.headers.has('access-control-allow-origin')).toBe(false)
  })

  test('is not what other OPTIONS requests are', async () => {
    const { app } = guardedApp({ apiKeys: ['k'], allowedOrigins: [PAGE] })
    const response = await app.request('/v1/models', {
      method: 'OPTIONS',
      headers: { origin: PAGE },
    })
    expect(response.status).toBe(401)
  })
})

describe('an allowed page', () => {
  const allowedOrigins = ['https://first.example', PAGE]
  const origin = { origin: PAGE }

  test.each<[string, number, RequestInit & { path: string }]>([
    ['a reply', 200, { path: '/v1/models' }],
    ['a probe', 200, { path: '/health' }],
    ['a missing route', 404, { path: '/nothing' }],
    ['a wrong method', 405, { path: '/v1/models', method: 'PUT' }],
    ['a wrong body', 400, { path: '/v1/completions', method: 'POST', body: '{}' }],
  ])('may read %s', async (_name, status, { path, ...init }) => {
    const { app } = guardedApp({ allowedOrigins })
    const response = await app.request(path, { ...init, headers: origin })
    expect(response.status).toBe(status)
    expect(granted(response)).toEqual({
      'access-control-allow-origin': PAGE,
      'access-control-expose-headers': 'x-request-id,retry-after',
    })
    expect(response.headers.get('vary')).toBe('Origin')
  })

  test('may read that its key is wrong', async () => {
    const { app } = guardedApp({ allowedOrigins, apiKeys: ['k'] })
    const response = await app.request('/v1/models', { headers: origin })
    expect(response.status).toBe(401)
    expect(response.headers.get('access-control-allow-origin')).toBe(PAGE)
    expect(response.headers.get('www-authenticate')).toBe('Bearer')
  })

  test('may read a stream', async () => {
    const { engine, complete } = guardedApp({ allowedOrigins })
    const response = await complete({ stream: true }, origin)
    expect(response.headers.get('access-control-allow-origin')).toBe(PAGE)
    expect(response.headers.get('x-accel-buffering')).toBe('no')
    engine.generations[0].finish('stop', 'to the end')
    expect((await readEvents(response)).at(-1)).toBe('data: [DONE]')
  })

  test('may read that the model is still being loaded', async () => {
    const app = createLoadingApp(createLogger({ write: () => {} }), { allowedOrigins })
    const response = await app.request('/v1/models', { headers: origin })
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('2')
    expect(response.headers.get('access-control-allow-origin')).toBe(PAGE)
  })

  test('is any page with *', async () => {
    const { app } = guardedApp({ allowedOrigins: ['*'] })
    const response = await app.request('/v1/models', { headers: { origin: 'https://any.example' } })
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
  })
})

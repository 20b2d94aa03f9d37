// What web pages of other origins may do: nothing, unless their origin is allowed.

import { describe, expect, test } from 'bun:test'
import { createLoadingApp } from '../../src/http/app.ts'
import { createLogger } from '../../src/log.ts'
import { type GuardedAppOptions, guardedApp } from './guarded-app.ts'
import { type Json, readEvents } from './test-app.ts'

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

describe('work', () => {
  const post = (headers: Record<string, string>, options: GuardedAppOptions = {}) => {
    const { app, engine } = guardedApp(options)
    const body = JSON.stringify({ prompt: '' })
    const init = { method: 'POST', headers: { host: 'tales.example:81', ...headers }, body }
    const request = new Request('http://tales.example:81/v1/completions', init)
    return { request, engine, pending: app.fetch(request) }
  }

  test.each<[string, Record<string, string>, GuardedAppOptions]>([
    ['of any page', { origin: PAGE }, {}],
    ['with a type that needs no preflight', { origin: PAGE, 'content-type': 'text/plain' }, {}],
    ['of a page without an origin', { origin: 'null' }, {}],
    ['of another page than the allowed', { origin: `${PAGE}:81` }, { allowedOrigins: [PAGE] }],
    ['of a page on another port', { origin: 'http://tales.example' }, {}],
    ['of another site', { 'sec-fetch-site': 'cross-site' }, { allowedOrigins: [PAGE] }],
  ])('%s is refused before its body is read', async (_name, headers, options) => {
    const { request, pending } = post(headers, options)
    const response = await pending
    expect(response.status).toBe(403)
    expect(request.bodyUsed).toBe(false)
    expect(granted(response)['access-control-allow-origin']).toBeUndefined()
    const { error } = (await response.json()) as Json
    expect(error).toMatchObject({ type: 'permission_error', code: 'origin_not_allowed' })
    expect(error.message).toContain('--allow-origin')
    expect(error.message).toContain(headers.origin ?? 'another site')
  })

  // An empty prompt gets status 400 from those who read it.
  test.each<[string, Record<string, string>, GuardedAppOptions]>([
    ['of clients that are no browsers', {}, {}],
    ["of the server's own pages", { origin: 'https://tales.example:81' }, {}],
    ['of an address that a person entered', { 'sec-fetch-site': 'none' }, {}],
    ['of an allowed page', { origin: PAGE }, { allowedOrigins: [PAGE] }],
    [
      'of an allowed page on another site',
      { origin: PAGE, 'sec-fetch-site': 'cross-site' },
      { allowedOrigins: [PAGE] },
    ],
    ['of any page with *', { origin: 'null' }, { allowedOrigins: ['*'] }],
  ])('%s is done', async (_name, headers, options) => {
    expect((await post(headers, options).pending).status).toBe(400)
  })

  test('is also to delete something', async () => {
    const { app } = guardedApp()
    const init = { method: 'DELETE', headers: { origin: PAGE } }
    expect((await app.request('/v1/responses/x', init)).status).toBe(403)
  })

  test('is not to look at something, which a browser keeps from the page', async () => {
    const headers = { origin: PAGE, 'sec-fetch-site': 'cross-site' }
    const response = await guardedApp().app.request('/v1/models', { headers })
    expect([response.status, granted(response)]).toEqual([200, {}])
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

// API keys: what they guard, how they are sent, where they come from.

import { describe, expect, test } from 'bun:test'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError } from '../../src/errors.ts'
import { OPEN_PATHS, readApiKeyFile } from '../../src/http/guard/api-keys.ts'
import { createLogger } from '../../src/log.ts'
import { TempFolder } from '../helpers/temp-folder.ts'
import { guardedApp } from './guarded-app.ts'
import type { Json } from './test-app.ts'

const KEYS = ['sk-first-0123456789', 'sk-second,with=all!"#$']

const guarded = () => guardedApp({ apiKeys: KEYS })

describe('without a key', () => {
  const { app } = guarded()
  const routes = app.routes
    .filter(({ method }) => method !== 'ALL')
    .map(({ method, path }) => `${method} ${path.replace(':id{.+}', 'tales')}`)
  const guardedRoutes = [...new Set(routes)].filter((route) => !OPEN_PATHS.includes(route.slice(4)))

  test.each([
    ...guardedRoutes,
    'HEAD /v1/models',
    'DELETE /v1/models',
    'OPTIONS /v1/completions',
    'POST /nothing/here',
    'GET /index.html',
    'GET /health/',
    'GET //health',
    'GET /HEALTH',
    'GET /ready/x',
    'GET /metrics/x',
  ])('%s is 401', async (route) => {
    const [method, path] = route.split(' ')
    const { app, lines } = guarded()
    const response = await app.request(path, { method, headers: { 'x-request-id': 'id-1' } })
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe('Bearer')
    expect(response.headers.get('x-request-id')).toBe('id-1')
    expect(lines).toEqual([expect.objectContaining({ message: 'request', status: 401 })])
    if (method === 'HEAD') return
    expect(await response.json()).toEqual({
      error: {
        message: expect.stringContaining('no API key was sent'),
        type: 'authentication_error',
        param: null,
        code: 'invalid_api_key',
      },
    })
  })

  test('there are routes to guard', () => {
    expect(guardedRoutes).toContain('POST /v1/completions')
    expect(guardedRoutes).toContain('GET /openapi.json')
    expect(guardedRoutes).toContain('GET /status')
  })

  test.each(['/health', '/ready', '/'])('%s is open', async (path) => {
    for (const method of ['GET', 'HEAD']) {
      expect((await guarded().app.request(path, { method })).status).toBe(200)
    }
  })

  test('a body is not read', async () => {
    const request = new Request('http://x/v1/completions', { method: 'POST', body: '{}' })
    expect((await guarded().app.fetch(request)).status).toBe(401)
    expect(request.bodyUsed).toBe(false)
  })
})

describe('a key', () => {
  const status = async (headers: Record<string, string>) =>
    (await guarded().app.request('/v1/models', { headers })).status

  test.each<[string, Record<string, string>]>([
    ['as a bearer token', { authorization: `Bearer ${KEYS[0]}` }],
    ['that is the second one', { authorization: `Bearer ${KEYS[1]}` }],
    ['with the scheme in other letters', { authorization: `bEARER  ${KEYS[0]} ` }],
    ['in a header of its own', { 'x-api-key': KEYS[1] }],
    ['beside a wrong one', { authorization: 'Bearer none', 'x-api-key': KEYS[0] }],
  ])('%s is accepted', async (_name, headers) => {
    expect(await status(headers)).toBe(200)
  })

  test.each<[string, Record<string, string>]>([
    ['without a scheme', { authorization: KEYS[0] }],
    ['of another scheme', { authorization: `Basic ${KEYS[0]}` }],
    ['that is only a part', { 'x-api-key': KEYS[0].slice(0, -1) }],
    ['with something behind it', { 'x-api-key': `${KEYS[0]}0` }],
    ['in other letters', { 'x-api-key': KEYS[0].toUpperCase() }],
    ['that is all keys', { 'x-api-key': KEYS.join(',') }],
    ['that is empty', { authorization: 'Bearer ', 'x-api-key': '' }],
  ])('%s is refused', async (_name, headers) => {
    expect(await status(headers)).toBe(401)
  })

  test('that is wrong is told from none, and neither log nor reply repeats it', async () => {
    const { app, lines } = guarded()
    for (const key of ['sk-wrong', KEYS[0]]) {
      const response = await app.request('/v1/models/x', { headers: { 'x-api-key': key } })
      const { error } = (await response.json()) as Json
      if (key === 'sk-wrong') expect(error.message).toContain('not valid')
      expect(JSON.stringify([error, ...response.headers])).not.toContain('sk-')
    }
    expect(lines.length).toBe(2)
    expect(JSON.stringify(lines)).not.toContain('sk-')
  })

  test('is not needed where none is set', async () => {
    expect((await guardedApp().app.request('/v1/models')).status).toBe(200)
  })
})

describe('a key file', () => {
  const read = async (content: string, mode = 0o600) => {
    await using folder = await TempFolder.create()
    const file = join(folder.path, 'keys')
    await Bun.write(file, content)
    await chmod(file, mode)
    const lines: Json[] = []
    const write = (line: string) => void lines.push(JSON.parse(line))
    const log = createLogger({ format: 'json', write })
    return { keys: await readApiKeyFile(file, log), lines }
  }

  test('has one key a line', async () => {
    const { keys, lines } = await read('# for tests\nsk-1\r\n\n  sk-2,x  \n#sk-3\nsk-4')
    expect(keys).toEqual(['sk-1', 'sk-2,x', 'sk-4'])
    expect(lines).toEqual([])
  })

  test('that all users can read is worth a warning, without its keys', async () => {
    const { lines } = await read('sk-1', 0o644)
    expect(lines).toEqual([expect.objectContaining({ level: 'warn' })])
    expect(lines[0].message).toContain('chmod 600')
    expect(JSON.stringify(lines)).not.toContain('sk-1')
  })

  test.each([
    ['', 'there are no keys in it'],
    ['\n# sk-1\n', 'there are no keys in it'],
    ['sk-1\nsk 2', 'line 2 is no key'],
    ['sk-ä', 'line 1 is no key'],
  ])('%j is refused', async (content, message) => {
    const error = await read(content).catch((error) => error)
    expect(error).toBeInstanceOf(ConfigError)
    expect(error.message).toContain(message)
    // The folder's name is random and may have the letters, but nothing behind them.
    expect(error.message).not.toMatch(/sk[- ]/)
  })

  test('that is not there is refused', async () => {
    const reading = readApiKeyFile('/no/such/file', createLogger())
    await expect(reading).rejects.toThrow('--api-key-file /no/such/file cannot be read')
    await expect(reading).rejects.toThrow(ConfigError)
  })
})

// Cases of the llama.cpp and vLLM suites that hold for any server, told anew: what is around the
// completions. See portable-completions.test.ts.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { CHAT_TEMPLATE } from '../helpers/chat-server.ts'
import { RawClient } from '../helpers/raw-client.ts'
import { type ServerProcess, startServer } from '../helpers/server.ts'
import type { Json } from '../http/test-app.ts'

setDefaultTimeout(60_000)

const KEY = 'first-key'
const ORIGIN = 'https://app.example'
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const short = { prompt: 'Once', max_tokens: 4, temperature: 0 }
const chat = { messages: [{ role: 'user', content: 'Hi' }], max_tokens: 4 }

let server: ServerProcess
let client: RawClient

beforeAll(async () => {
  server = await startServer([
    ...['--max-num-seqs', '3', '--max-model-len', '64', '--chat-template', CHAT_TEMPLATE],
    ...['--api-key', KEY, '--api-key', 'second-key', '--allow-origin', ORIGIN],
  ])
  client = new RawClient(server.url, bearer(KEY))
})

afterAll(() => server?.[Symbol.asyncDispose]())

describe('API keys', () => {
  const guarded = ['/v1/models', '/v1/nothing', '/version', '/openapi.json']

  test.each(['/health', '/ready'])('GET %s needs none', async (path) => {
    expect((await new RawClient(server.url).get(path)).status).toBe(200)
  })

  test.each<[string, Record<string, string>]>([
    ['none', {}],
    ['a wrong one', bearer('third-key')],
    ['the beginning of one', bearer(KEY.slice(0, -1))],
    ['an empty one', bearer('')],
    ['a wrong x-api-key', { 'x-api-key': 'third-key' }],
    ['another scheme', { authorization: `Basic ${KEY}` }],
  ])('%s is status 401', async (_, headers) => {
    const stranger = new RawClient(server.url, headers)
    const replies = [
      await stranger.post('/v1/completions', short),
      await stranger.post('/v1/completions', { ...short, stream: true }),
      await stranger.post('/v1/chat/completions', chat),
      await stranger.post('/tokenize', { prompt: 'x' }),
      ...(await Promise.all(guarded.map((path) => stranger.get(path)))),
    ]
    for (const { status, json, headers } of replies) {
      expect(status).toBe(401)
      expect(json.error).toMatchObject({ type: 'authentication_error', code: 'invalid_api_key' })
      expect(headers.get('www-authenticate')).toBe('Bearer')
    }
  })

  test.each<[string, Record<string, string>]>([
    ['as a bearer token', bearer(KEY)],
    ['as x-api-key', { 'x-api-key': KEY }],
    ['the second one', bearer('second-key')],
  ])('a right one %s is let in', async (_, headers) => {
    const guest = new RawClient(server.url, headers)
    expect((await guest.post('/v1/completions', short)).status).toBe(200)
    expect((await guest.get('/v1/models')).status).toBe(200)
  })

  test('are not in the log', () => {
    expect(server.output()).not.toContain(KEY)
  })
})

describe('CORS', () => {
  const preflight = (origin: string) =>
    fetch(`${server.url}/v1/chat/completions`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,x-stainless-lang',
      },
    })

  test('a preflight of a page that may call', async () => {
    const { status, headers } = await preflight(ORIGIN)
    expect(status).toBe(204)
    expect(headers.get('access-control-allow-origin')).toBe(ORIGIN)
    expect(headers.get('access-control-allow-methods')).toContain('POST')
    const allowed = headers.get('access-control-allow-headers')!.toLowerCase().split(/, ?/)
    for (const name of ['authorization', 'content-type', 'x-stainless-lang']) {
      expect(allowed).toContain(name)
    }
  })

  test('another page may not', async () => {
    const { headers } = await preflight('https://evil.example')
    expect(headers.has('access-control-allow-origin')).toBe(false)
  })

  test('replies and errors name the page, too', async () => {
    for (const given of [KEY, 'third-key']) {
      const page = new RawClient(server.url, { ...bearer(given), origin: ORIGIN })
      const { headers } = await page.get('/v1/models')
      expect(headers.get('access-control-allow-origin')).toBe(ORIGIN)
    }
  })
})

describe('tokenize and detokenize', () => {
  test.each(['', '/v1'])('%s/tokenize there and back', async (prefix) => {
    const ask = (path: string, body: object): Promise<Json> => client.ask(prefix + path, body)
    for (const text of ['Once upon a time', 'été 🧚\n\n “x”', '']) {
      const { tokens, count } = await ask('/tokenize', { prompt: text })
      expect(count).toBe(tokens.length)
      expect(tokens[0]).toBe(1)
      const bare = await ask('/tokenize', { prompt: text, add_special_tokens: false })
      expect(bare.tokens).toEqual(tokens.slice(1))
      const { prompt, content } = await ask('/detokenize', { tokens: bare.tokens })
      expect([prompt, content]).toEqual([text, text])
    }
  })

  test('ids are those of a completion’s prompt', async () => {
    const { tokens } = await client.ask('/tokenize', { prompt: 'The king said' })
    const body = { ...short, prompt: 'The king said', return_token_ids: true }
    const { choices } = await client.ask('/v1/completions', body)
    expect(choices[0].prompt_token_ids).toEqual(tokens)
  })

  test('of a chat are those of its prompt', async () => {
    const { count } = await client.ask('/tokenize', { messages: chat.messages })
    const { usage } = await client.ask('/v1/chat/completions', chat)
    expect(count).toBe(usage.prompt_tokens)
  })

  test('pieces', async () => {
    const body = { content: 'Once 🧚', with_pieces: true }
    const { tokens } = await client.ask('/tokenize', body)
    const bytes = tokens.map(({ piece }: Json) => Buffer.from(piece))
    expect(Buffer.concat(bytes).toString()).toBe(' Once 🧚')
  })
})

describe('length', () => {
  const long = 'fairy '.repeat(100)

  test.each<[string, object]>([
    ['/v1/completions', { ...short, prompt: long }],
    ['/v1/completions', { ...short, prompt: ['Once', long] }],
    ['/v1/chat/completions', { ...chat, messages: [{ role: 'user', content: long }] }],
  ])('%s refuses a prompt that is too long, both ways', async (path, body) => {
    for (const stream of [false, true]) {
      const { status, json } = await client.post(path, { ...body, stream })
      expect(status).toBe(400)
      expect(json.error).toMatchObject({ code: 'context_length_exceeded' })
      expect(json.error.message).toContain('64')
    }
  })

  test('truncated it fits', async () => {
    const body = { ...short, prompt: long, truncate_prompt_tokens: -1 }
    const { usage } = await client.ask('/v1/completions', body)
    expect(usage.prompt_tokens).toBe(60)
  })

  test('an answer without a limit ends with the room', async () => {
    const body = { ...chat, max_tokens: undefined, ignore_eos: true }
    const { usage, choices } = await client.ask('/v1/chat/completions', body)
    expect(usage.total_tokens).toBe(64)
    expect(choices[0].finish_reason).toBe('length')
  })
})

test('more requests than slots all finish', async () => {
  const body = { ...short, prompt: 'Once upon a time', max_tokens: 16 }
  const { choices } = await client.ask('/v1/completions', body)
  const many = Array.from({ length: 12 }, (_, index) =>
    index % 2 === 0
      ? client.ask('/v1/completions', body).then((reply) => reply.choices[0].text)
      : client
          .stream('/v1/completions', body)
          .then((events) => events.map((event) => event.choices[0].text).join('')),
  )
  expect(new Set(await Promise.all(many))).toEqual(new Set([choices[0].text]))
})

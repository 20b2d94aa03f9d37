import { describe, expect, test } from 'bun:test'
import { BROKEN_BODIES, wireBody } from './broken-bodies.ts'
import { type Json, testApp } from './test-app.ts'

describe('broken bodies', () => {
  // One app for all: each must leave it able to serve the next good request.
  const { engine, post } = testApp()

  test.each(BROKEN_BODIES)('$name', async (broken) => {
    const before = engine.generations.length
    const response = await post(wireBody(broken), {
      headers: { 'content-type': broken.contentType! },
    })
    const reply: Json = await response.json()
    expect(reply.error.message).toContain(broken.words)
    expect(reply).toEqual({
      error: {
        message: expect.any(String),
        type: broken.status === 404 ? 'not_found_error' : 'invalid_request_error',
        param: broken.param,
        code: broken.code,
      },
    })
    expect(response.status).toBe(broken.status)
    expect(reply.error.message.length).toBeLessThan(400)
    expect(reply.error.message).not.toContain('\n')
    expect(engine.generations.length).toBe(before)

    const next = await post({ prompt: 'x', max_tokens: 2 })
    expect(next.status).toBe(200)
    expect(((await next.json()) as Json).choices[0].text).toBe('Once upon')
  })

  test('a body above the limit is 413, announced or not', async () => {
    const { post } = testApp({ limits: { maxBodyBytes: 100 } })
    const large = JSON.stringify({ prompt: 'x'.repeat(100) })
    const announced = await post(large, {
      headers: { 'content-type': 'application/json', 'content-length': String(large.length) },
    })
    const chunked = await post(large, { body: new Response(large).body })
    for (const response of [announced, chunked]) {
      expect(response.status).toBe(413)
      expect(((await response.json()) as Json).error.code).toBe('request_too_large')
    }
    expect((await post({ prompt: 'x' })).status).toBe(200)
  })

  test('a compressed body is 415', async () => {
    const { post } = testApp()
    const response = await post(Bun.gzipSync('{"prompt": "x"}'), {
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    })
    expect(response.status).toBe(415)
  })

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/vnd.api+json'])(
    'a good body labelled %s is accepted',
    async (contentType) => {
      const { post } = testApp()
      const response = await post('{"prompt": "x"}', { headers: { 'content-type': contentType } })
      expect(response.status).toBe(200)
    },
  )
})

// Every broken body against the real server: it gets its error, and the next request its answer.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { checkingFetch } from '../helpers/checking-fetch.ts'
import { type ServerProcess, startServer } from '../helpers/server.ts'
import { BROKEN_BODIES, wireBody } from '../http/broken-bodies.ts'
import type { Json } from '../http/test-app.ts'

/** Every reply must be what the API says. */
const checkedFetch = checkingFetch()

let server: ServerProcess
/** What the good request is answered before anything went wrong. */
let expected: string

beforeAll(async () => {
  server = await startServer()
  expected = await completeGood()
}, 60_000)

afterAll(() => server?.[Symbol.asyncDispose](), 60_000)

async function post(body: RequestInit['body'], contentType = 'application/json') {
  return checkedFetch(`${server.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': contentType },
    body,
  })
}

async function completeGood(): Promise<string> {
  const response = await post('{"prompt": "Once upon a time", "max_tokens": 2, "temperature": 0}')
  expect(response.status).toBe(200)
  return ((await response.json()) as Json).choices[0].text
}

describe('the server refuses', () => {
  test.each(BROKEN_BODIES)('$name', async (broken) => {
    const response = await post(wireBody(broken), broken.contentType)
    const { error } = (await response.json()) as Json
    expect(error.message).toContain(broken.words)
    expect(response.status).toBe(broken.status)
    expect(error).toMatchObject({ param: broken.param, code: broken.code })
    expect(await completeGood()).toBe(expected)
  })

  test('a body of 5 MiB', async () => {
    const response = await post(JSON.stringify({ prompt: 'x'.repeat(5 * 2 ** 20) }))
    expect(response.status).toBe(413)
    expect(await completeGood()).toBe(expected)
  })
})

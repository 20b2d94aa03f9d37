// What the log repeats of a client's words: nothing, unless the operator asks for prompts.

import { describe, expect, test } from 'bun:test'
import { RequestRecord } from '../../src/http/request-record.ts'
import { createLogger } from '../../src/log.ts'
import { guardedApp } from './guarded-app.ts'
import { type Json, readEvents } from './test-app.ts'

const SECRET = 'zanzibar'

describe('at level debug, without --log-prompts', () => {
  test.each<[string, string, object]>([
    ['a prompt and its reply', '/v1/completions', { prompt: SECRET }],
    ['a stream', '/v1/completions', { prompt: SECRET, stream: true }],
    ['stops and other texts', '/v1/completions', { prompt: 'x', stop: SECRET, user: SECRET }],
    ['values of fields that are ignored', '/v1/completions', { prompt: 'x', thing: SECRET }],
    ['a field that is wrong', '/v1/completions', { prompt: 'x', temperature: SECRET }],
    ['a text to tokenize', '/tokenize', { prompt: SECRET }],
  ])('%s is not in the log', async (_name, path, body) => {
    const { app, engine, lines } = guardedApp()
    const pending = app.request(path, { method: 'POST', body: JSON.stringify(body) })
    if (path === '/v1/completions' && !('temperature' in body)) {
      const [generation] = await engine.submitted(1)
      generation.finish('stop', SECRET)
    }
    await readEvents(await pending)
    while (!lines.some((line) => line.message === 'request')) await new Promise(setImmediate)
    expect(JSON.stringify(lines)).not.toContain(SECRET)
  })

  test('a body that is no JSON is not in the log', async () => {
    const { app, lines } = guardedApp()
    const body = `{"prompt": "${SECRET}`
    expect((await app.request('/v1/completions', { method: 'POST', body })).status).toBe(400)
    expect(JSON.stringify(lines)).not.toContain(SECRET)
  })
})

describe('the record of a request', () => {
  function record(showsPrompts: boolean) {
    const lines: Json[] = []
    const write = (line: string) => void lines.push(JSON.parse(line))
    const log = createLogger({ format: 'json', write })
    return { record: new RequestRecord(log, 'POST', '/v1/completions', showsPrompts), lines }
  }

  test('has the first 2,000 characters of prompts if asked for', () => {
    const { record: asked, lines } = record(true)
    asked.addPrompt(() => 'Once')
    asked.addPrompt(() => 'x'.repeat(3000))
    asked.addPrompt(() => 'unseen')
    asked.end(200)
    expect(lines[0].prompt).toBe(`Once\n${'x'.repeat(1995)}`)
  })

  test('does not even read them otherwise', () => {
    const { record: silent, lines } = record(false)
    silent.addPrompt(() => {
      throw new Error('read')
    })
    silent.end(200)
    expect(lines[0]).not.toHaveProperty('prompt')
  })

  test('tells of its end once', () => {
    const { record: ended, lines } = record(false)
    let ends = 0
    ended.onEnd(() => ends++)
    ended.end(200)
    ended.end(500)
    expect(ends).toBe(1)
    expect(lines.map((line) => line.status)).toEqual([200])
  })
})

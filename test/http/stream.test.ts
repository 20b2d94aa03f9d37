import { describe, expect, test } from 'bun:test'
import { ApiError } from '../../src/errors.ts'
import { type Json, parseFrames, readEvents, testApp } from './test-app.ts'

const ENVELOPE = {
  id: 'cmpl-id-1',
  object: 'text_completion',
  created: expect.any(Number),
  model: 'tales',
  system_fingerprint: 'glaze-1.2.3-tales',
}
const HEADERS = { 'content-type': 'application/json', 'x-request-id': 'id-1' }

function chunk(index: number, text: string, reason: string | null = null, rest: object = {}) {
  const choice = { index, text, logprobs: null, finish_reason: reason, stop_reason: null }
  return { ...ENVELOPE, choices: [choice], ...rest }
}

describe('a stream', () => {
  test('has text chunks, a final chunk and the end mark', async () => {
    const { post } = testApp({ words: ['Once', '', ' upon'] })
    const response = await post({ prompt: 'x', stream: true }, { headers: HEADERS })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toStartWith('text/event-stream')
    expect(response.headers.get('cache-control')).toBe('no-cache')
    expect(response.headers.get('x-accel-buffering')).toBe('no')
    expect(response.headers.get('x-request-id')).toBe('id-1')
    expect(await readEvents(response)).toEqual([
      chunk(0, 'Once'),
      chunk(0, ' upon'),
      chunk(0, '', 'stop'),
      'data: [DONE]',
    ])
  })

  test('reports usage if asked, after chunks whose usage is null', async () => {
    const { post } = testApp({ words: ['Once', ' upon'] })
    const response = await post(
      { prompt: ['a', 'b c'], n: 2, stream: true, stream_options: { include_usage: true } },
      { headers: HEADERS },
    )
    const events = await readEvents(response)
    expect(events.at(-1)).toBe('data: [DONE]')
    const usage = {
      ...{ prompt_tokens: 5, completion_tokens: 8, total_tokens: 13 },
      prompt_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
    }
    expect(events.at(-2)).toEqual({ ...ENVELOPE, choices: [], usage })
    const earlier = events.slice(0, -2)
    expect(earlier.length).toBe(4 * 3)
    expect(earlier.every((event) => event.usage === null)).toBe(true)
  })

  test('mixes choices as they come, each with its index, its own end and one id', async () => {
    const { engine, post } = testApp({ words: 'manual' })
    const response = await post({ prompt: ['a', 'b'], stream: true }, { headers: HEADERS })
    const [first, second] = engine.generations
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    const received = async (end: string) => {
      while (!text.includes(end)) text += (await reader.read()).value
    }
    second.emit('B1')
    await received('B1')
    first.emit('A1')
    await received('A1')
    second.finish('length', 'B2')
    await received('"length"')
    first.finish('stop')
    await received('[DONE]')
    expect((await reader.read()).done).toBe(true)
    expect(parseFrames(text).filter((frame) => !String(frame).startsWith(':'))).toEqual([
      chunk(1, 'B1'),
      chunk(0, 'A1'),
      chunk(1, 'B2'),
      chunk(1, '', 'length'),
      chunk(0, '', 'stop'),
      'data: [DONE]',
    ])
  })

  test('says the same as a whole reply', async () => {
    const { post } = testApp()
    const whole: Json = await (await post({ prompt: 'x', max_tokens: 3 })).json()
    const response = await post({ prompt: 'x', max_tokens: 3, stream: true })
    const chunks = (await readEvents(response)).slice(0, -1)
    const text = chunks.map((event) => event.choices[0].text).join('')
    expect(text).toBe(whole.choices[0].text)
    expect(chunks.at(-1).choices[0].finish_reason).toBe(whole.choices[0].finish_reason)
  })

  test('pings while there is nothing to say, and stops when it has ended', async () => {
    const { engine, post } = testApp({ words: 'manual', limits: { pingIntervalMs: 1 } })
    const response = await post({ prompt: 'x', stream: true })
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    while (text.split(': ping\n\n').length < 4) text += (await reader.read()).value
    engine.generations[0].finish('stop')
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      text += value
    }
    expect(text).toEndWith('data: [DONE]\n\n')
  })
})

describe('what can go wrong', () => {
  test('a refusal has its own status, not 200', async () => {
    const { engine, post } = testApp()
    engine.refuse = () => {
      throw new ApiError(400, 'too long', { param: 'prompt' })
    }
    const response = await post({ prompt: 'x', stream: true })
    expect(response.status).toBe(400)
    expect(response.headers.get('content-type')).toContain('application/json')
  })

  test('an engine fault is an error event and the last one', async () => {
    const { engine, lines, post } = testApp({ words: 'manual' })
    const response = await post({ prompt: ['a', 'b'], stream: true }, { headers: HEADERS })
    const [first, second] = engine.generations
    first.emit('Once')
    second.fail(new Error('secret detail'))
    const events = await readEvents(response)
    expect(events.at(-1)).toEqual({
      error: {
        message: 'internal server error; request id id-1',
        type: 'server_error',
        param: null,
        code: 'internal_error',
      },
    })
    expect(first.isAborted).toBe(true)
    expect(lines.find((line) => line.level === 'error').error).toContain('secret detail')
    expect(lines.at(-1)).toMatchObject({ message: 'request', finish: { error: 1, abort: 1 } })
  })

  test('a generation that ends without a finish is an error event', async () => {
    const { engine, post } = testApp({ words: 'manual' })
    const response = await post({ prompt: 'x', stream: true })
    engine.generations[0].emit('Once')
    engine.generations[0].end()
    const events = await readEvents(response)
    expect(events.length).toBe(2)
    expect(events[1].error).toMatchObject({ type: 'unavailable_error', code: 'request_aborted' })
  })

  test('a reader that cancels frees every slot', async () => {
    const { engine, lines, post } = testApp({ words: 'manual' })
    const response = await post({ prompt: ['a', 'b'], stream: true })
    engine.generations[0].emit('Once')
    await response.body!.cancel()
    await Promise.all(engine.generations.map((generation) => generation.aborted))
    while (lines.length === 0) await new Promise(setImmediate)
    expect(lines).toEqual([
      expect.objectContaining({ status: 200, stream: true, finish: { abort: 2 } }),
    ])
  })
})

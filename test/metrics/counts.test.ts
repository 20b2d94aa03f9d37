// Counters move by exactly what was done: known requests to the real small model, over HTTP.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type ServerProcess, startServer } from '../helpers/server.ts'
import { seriesOf } from './format.ts'

let server: ServerProcess

beforeAll(async () => {
  const key = ['--api-key', 'k', '--max-num-seqs', '1', '--max-queue', '1']
  server = await startServer([...key, '--served-model-name', 'tales', '--max-model-len', '256'])
}, 60_000)
afterAll(() => server?.[Symbol.asyncDispose]())

const HEADERS = { authorization: 'Bearer k', 'content-type': 'application/json' }

function post(body: object, path = '/v1/completions', init: RequestInit = {}) {
  const whole = { temperature: 0, ignore_eos: true, ...body }
  const request = { method: 'POST', headers: HEADERS, body: JSON.stringify(whole), ...init }
  return fetch(`${server.url}${path}`, request)
}

async function scrape(): Promise<Map<string, number>> {
  return seriesOf(await (await fetch(`${server.url}/metrics`)).text())
}

/** What counters and counts of histograms gained; buckets, sums of seconds and gauges are left out. */
async function gained(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = await scrape()
  await work()
  // A stream's record ends just behind its last byte.
  await new Promise(setImmediate)
  const after = await scrape()
  const counted = /^glaze_[a-z_]+(_total|_count|_tokens_sum)(\{|$)/
  const entries = [...after].flatMap(([name, value]) => {
    const gain = value - (before.get(name) ?? 0)
    if (!counted.test(name) || name.includes('/metrics') || gain === 0) return []
    const labels = [...name.matchAll(/(\w+)="([^"]*)"/g)].filter(
      ([, label]) => label !== 'model_name',
    )
    const short = name.replace(/\{.*/, '').replace('glaze_', '')
    return [[[short, ...labels.map(([, , value]) => value)].join(' '), gain]]
  })
  return Object.fromEntries(entries)
}

/** Of one request that ended after `tokens` of each of its choices. */
function generated(options: {
  endpoint?: string
  route?: string
  finish?: string
  prompt: number
  cached?: number
  choices?: number
  tokens: number
  max: number
}) {
  const { endpoint = 'completions', route = '/v1/completions', finish = 'length' } = options
  const { prompt, cached = 0, choices = 1, tokens, max } = options
  const all = choices * tokens
  return {
    [`requests_total ${endpoint} ${finish}`]: 1,
    prompt_tokens_total: prompt,
    prefix_cache_queried_tokens_total: prompt,
    ...(cached > 0 && { prefix_cache_hit_tokens_total: cached }),
    generation_tokens_total: all,
    time_to_first_token_seconds_count: 1,
    ...(tokens > 1 && { inter_token_latency_seconds_count: choices * (tokens - 1) }),
    request_duration_seconds_count: 1,
    request_queue_seconds_count: choices,
    request_prefill_seconds_count: choices,
    request_decode_seconds_count: choices,
    request_prompt_tokens_count: 1,
    request_prompt_tokens_sum: prompt,
    request_generation_tokens_count: 1,
    request_generation_tokens_sum: all,
    request_max_tokens_count: 1,
    request_max_tokens_sum: max,
    [`http_requests_total ${route} POST 200`]: 1,
    [`http_request_duration_seconds_count ${route} POST`]: 1,
  }
}

/** Without what steps add, whose number depends on how they overlap. */
function withoutSteps(gains: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(gains).filter(([name]) => !/^(step|gpu)_/.test(name)))
}

describe('one request', () => {
  const prompt = [1, 300, 301, 302, 303]

  test('of 7 tokens', async () => {
    const gains = await gained(async () => (await post({ prompt, max_tokens: 7 })).json())
    expect(withoutSteps(gains)).toEqual(generated({ prompt: 5, tokens: 7, max: 7 }))
    // The prompt's step draws the first token; a step may have begun before the last one was known.
    const steps = Object.entries(gains).filter(([name]) => name.startsWith('step_duration'))
    expect(gains['step_duration_seconds_count prefill']).toBe(1)
    expect(steps.length).toBe(2)
    expect(gains['gpu_busy_seconds_total decode']).toBeGreaterThan(0)
  })

  test('again: its prompt comes from the cache', async () => {
    const gains = await gained(async () => (await post({ prompt, max_tokens: 2 })).json())
    expect(withoutSteps(gains)).toEqual(generated({ prompt: 5, cached: 5, tokens: 2, max: 2 }))
  })

  test('as a stream, with two samples', async () => {
    const body = { prompt: [1, 400, 401], max_tokens: 4, n: 2, stream: true }
    const gains = withoutSteps(await gained(async () => (await post(body)).text()))
    const expected = generated({ prompt: 3, choices: 2, tokens: 4, max: 4 })
    // The second sample starts from the state that the first one leaves.
    expect(gains).toEqual(expected)
  })

  test('that ends at a stop token', async () => {
    const first = (await (
      await post({ prompt, max_tokens: 1, return_token_ids: true })
    ).json()) as {
      choices: { token_ids: number[] }[]
    }
    const stop_token_ids = first.choices[0].token_ids
    const body = { prompt, max_tokens: 9, stop_token_ids }
    const gains = await gained(async () => (await post(body)).json())
    expect(withoutSteps(gains)).toEqual(
      generated({ finish: 'stop', prompt: 5, cached: 5, tokens: 1, max: 9 }),
    )
  })
})

describe('a request that is refused', () => {
  const refusal = (status: number, more: object, route = '/v1/completions') => ({
    [`http_requests_total ${route} POST ${status}`]: 1,
    [`http_request_duration_seconds_count ${route} POST`]: 1,
    ...more,
  })

  test.each<[string, number, object, object]>([
    ['for a wrong field', 400, { prompt: 'x', max_tokens: -1 }, { validation: 1 }],
    ['for its length', 400, { prompt: Array(300).fill(300) }, { context_length: 1 }],
    ['for its model', 404, { prompt: 'x', model: 'other' }, { validation: 1 }],
  ])('%s', async (_name, status, body, reasons) => {
    const work = async () => expect((await post(body)).status).toBe(status)
    // A step of the request before may still come back.
    const gains = withoutSteps(await gained(work))
    const errors = Object.entries(reasons).map(([name, n]) => [`request_errors_total ${name}`, n])
    expect(gains).toEqual(refusal(status, Object.fromEntries(errors)))
  })

  test('for want of a key', async () => {
    const init = { headers: { 'content-type': 'application/json' } }
    const gains = withoutSteps(await gained(() => post({ prompt: 'x' }, '/v1/completions', init)))
    expect(gains).toEqual(refusal(401, { 'request_errors_total auth': 1 }))
  })

  test('because the queue is full; those before it end as their clients leave', async () => {
    const leave = new AbortController()
    const { signal } = leave
    const gains = await gained(async () => {
      const body = { prompt: 'x', max_tokens: 200, stream: true }
      const running = [post(body, undefined, { signal }), post(body, undefined, { signal })]
      await Promise.all(running)
      const refused = await post({ prompt: 'x', max_tokens: 1 })
      expect(refused.status).toBe(429)
      leave.abort()
      for (;;) {
        const series = await scrape()
        const left = ['running', 'waiting'].map((what) =>
          series.get(`glaze_requests_${what}{model_name="tales"}`),
        )
        if (left.every((count) => count === 0)) break
      }
    })
    expect(gains['requests_rejected_total queue_full']).toBe(1)
    expect(gains['requests_total completions abort']).toBe(2)
    expect(gains['http_requests_total /v1/completions POST 429']).toBe(1)
    expect(Object.keys(gains).filter((name) => name.startsWith('request_errors'))).toEqual([])
  })
})

test('paths that are no routes make no series of their own', async () => {
  const gains = await gained(() => fetch(`${server.url}/secret/path`, { headers: HEADERS }))
  expect(gains).toMatchObject({ 'http_requests_total other GET 404': 1 })
})

test('gauges tell what is there', async () => {
  const series = await scrape()
  const of = (name: string, labels = '') => series.get(`glaze_${name}{model_name="tales"${labels}}`)
  expect(of('ready')).toBe(1)
  expect(of('state_slots', ',state="free"')).toBe(1)
  expect(of('state_slots', ',state="used"')).toBe(0)
  expect(of('gpu_memory_bytes', ',kind="state"')).toBe(192 * 1024)
  expect(of('prefix_states')).toBeGreaterThan(0)
})

// GET /status: the figures of the server, guarded as any route and quiet in the log.

import { describe, expect, test } from 'bun:test'
import { Drain } from '../../src/http/guard/drain.ts'
import { guardedApp } from './guarded-app.ts'
import { type Json, type TestAppOptions, testApp } from './test-app.ts'

const memory = { stateBytes: 196_608, cacheBytes: 0, softmaxTokenBytes: 3072 }

async function statusOf(options: TestAppOptions, state = {}): Promise<Json> {
  const { app, engine } = testApp(options)
  engine.state = { ...engine.state, ...state }
  const response = await app.request('/status')
  expect(response.status).toBe(200)
  expect(response.headers.get('cache-control')).toBe('no-store')
  return response.json()
}

describe('GET /status', () => {
  test('tells of the model, its memory, the slots and the cache', async () => {
    const prefixCache = {
      ...{ snapshots: 3, gpuBytes: 100, hostBytes: 50, hits: 5, misses: 6 },
      ...{ readTokens: 70, written: 8, demoted: 9, evicted: 10 },
    }
    const model = { modelType: 'gla', maxModelLen: 2048, memory }
    const state = { slots: 8, freeSlots: 5, running: 2, waiting: 4, prefixCache }
    expect(await statusOf({ model }, state)).toEqual({
      ...{ model: 'tales', version: '1.2.3', model_type: 'gla', max_model_len: 2048 },
      ...{ chat: false, draining: false, slots: 8, slots_used: 3, running: 2, waiting: 4 },
      ...{ state_bytes: 196_608, cache_bytes: 0, softmax_bytes_per_token: 3072 },
      sampling: { temperature: 1, top_p: 1, top_k: 0, min_p: 0, repetition_penalty: 1 },
      prefix_cache: {
        ...{ states: 3, gpu_bytes: 100, host_bytes: 50, hits: 5, misses: 6, read_tokens: 70 },
      },
    })
  })

  test('leaves out what is not known', async () => {
    const keys = Object.keys(await statusOf({}))
    for (const key of ['model_type', 'max_model_len', 'state_bytes', 'cache_bytes']) {
      expect(keys).not.toContain(key)
    }
  })

  test('has the sampling of requests that leave it open', async () => {
    const sampling = { temperature: 0.8, topP: 0.9, topK: 40, minP: 0.05, repetitionPenalty: 1.1 }
    expect((await statusOf({ model: { sampling } })).sampling).toEqual({
      ...{ temperature: 0.8, top_p: 0.9, top_k: 40, min_p: 0.05, repetition_penalty: 1.1 },
    })
  })

  test('says whether the model chats', async () => {
    const chatTemplate = {
      ...{ knowsTools: false, toolCallStyle: 'json' as const },
      ...{ renderUpTo: () => undefined, render: () => '' },
    }
    expect((await statusOf({ chatTemplate })).chat).toBe(true)
  })

  test('says that the server is about to stop, and goes on to answer', async () => {
    const drain = new Drain()
    const { app } = guardedApp({ drain })
    const draining = async () => ((await (await app.request('/status')).json()) as Json).draining
    expect(await draining()).toBe(false)
    drain.announce()
    expect(await draining()).toBe(true)
    drain.begin()
    expect(await draining()).toBe(true)
  })

  test('is asked every second, and logged at level debug only', async () => {
    const { app, lines } = guardedApp()
    await app.request('/status')
    expect(lines).toEqual([expect.objectContaining({ level: 'debug', path: '/status' })])
  })
})

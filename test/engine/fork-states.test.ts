// Copies of states on the device: samples of one prompt, and generations that branch off a running
// one, have the bits of runs of their own.
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import type { GlazeEngine } from '../../src/engine/engine.ts'
import { collect, openTinyModel, requestOf } from '../helpers/engine.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { fixtures } from '../helpers/model.ts'
import { Random } from '../helpers/numbers.ts'
import { GREEDY } from '../helpers/sequences.ts'

const gpu = await openTestGpu()
const random = new Random(11)
const prompt = Array.from({ length: 150 }, () => random.integer(0, 96))
const sampled = (seed: number) => ({ sampling: { ...GREEDY, temperature: 2, seed } })

describe.each(['gla_conv', 'gsa', 'hybrid'])('%s', async (name) => {
  const model = await openTinyModel(gpu, join(fixtures, name), 'plain')

  const alone = async (...args: Parameters<typeof requestOf>) => {
    const engine = await model.engine()
    return collect(engine.submit(requestOf(...args)))
  }

  async function samples(engine: GlazeEngine, count: number) {
    const first = engine.submit(requestOf(prompt, sampled(0)))
    const others = Array.from({ length: count - 1 }, (_, i) =>
      engine.submit(requestOf(prompt, { ...sampled(i + 1), sampleOf: first })),
    )
    return Promise.all([first, ...others].map(collect))
  }

  test('samples of one prompt compute it once and are what each is alone', async () => {
    const engine = await model.engine()
    const results = await samples(engine, 4)
    for (const [seed, { tokens, text, cache }] of results.entries()) {
      const { tokens: ids, text: words } = await expected(seed)
      expect({ tokens, text }).toEqual({ tokens: ids, text: words })
      expect(cache!.read).toBe(seed === 0 ? 0 : prompt.length)
    }
    expect(new Set(results.map(({ text }) => text)).size).toBeGreaterThan(2)
    expect(engine.stats()).toMatchObject({ forks: 3, freeSlots: 4 })
  })

  test.each([0, 4])('more samples than slots, %d snapshots', async (snapshots) => {
    const engine = await model.engine({ snapshots })
    const results = await samples(engine, 10)
    for (const [seed, { tokens }] of results.entries()) {
      expect(tokens).toEqual((await expected(seed)).tokens)
    }
    // Those that found no slot with the first ones start from a snapshot, if there is one.
    const computed = results.filter(({ cache }) => cache!.read === 0).length
    expect(computed).toBe(snapshots === 0 ? 7 : 1)
    expect(engine.stats()).toMatchObject({ forks: 3, freeSlots: 4, fault: undefined })
  })

  test('a fork of a running generation goes on as the original would', async () => {
    const engine = await model.engine()
    const whole = await alone(prompt, { maxTokens: 40 })
    const original = engine.submit(requestOf(prompt, { maxTokens: 40 }))
    const tokens = []
    let fork: ReturnType<typeof collect> | undefined
    for await (const output of original) {
      tokens.push(...output.tokens)
      if (tokens.length !== 10) continue
      const { id, sampling, stop, logprobs } = requestOf(prompt)
      fork = collect(engine.fork(original, { id, sampling, stop, logprobs, maxTokens: 15 }))
    }
    expect(tokens).toEqual(whole.tokens)
    const branch = await fork!
    expect(branch.tokens).toHaveLength(15)
    // It branched off where the original was when its steps had come back: at 10 tokens or a few more.
    // Places in its text count from there.
    const at = whole.tokens.findIndex((start, i) => {
      const tail = whole.tokens.slice(i, i + 15)
      const moved = tail.map((token) => ({ ...token, offset: token.offset - start.offset }))
      return Bun.deepEquals(moved, branch.tokens)
    })
    expect(at).toBeGreaterThanOrEqual(10)
    expect(at).toBeLessThanOrEqual(13)
    expect(branch.finish).toEqual({ reason: 'length' })
    expect(engine.stats()).toMatchObject({ forks: 1, freeSlots: 4, fault: undefined })
  })

  const known = new Map<number, ReturnType<typeof collect>>()
  function expected(seed: number) {
    if (!known.has(seed)) known.set(seed, alone(prompt, sampled(seed)))
    return known.get(seed)!
  }
})

// Prefix states in the engine: a reused prefix gives the very bits of an uncached run.
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import type { GlazeEngine } from '../../src/engine/engine.ts'
import { collect, openTinyModel, requestOf } from '../helpers/engine.ts'
import { openTestGpu, variants } from '../helpers/gpu.ts'
import { fixtures } from '../helpers/model.ts'
import { Random } from '../helpers/numbers.ts'
import { GREEDY } from '../helpers/sequences.ts'

const gpu = await openTestGpu()
const VOCABULARY = 97

const randomPrompt = (random: Random, length: number) =>
  Array.from({ length }, () => random.integer(0, VOCABULARY - 1))

/** Everything that a client could tell two runs apart by, log-probabilities to the last bit. */
async function run(engine: GlazeEngine, ...args: Parameters<typeof requestOf>) {
  const { text, tokens, finish, cache } = await collect(engine.submit(requestOf(...args)))
  return { bits: { text, tokens, finish }, cache: cache! }
}

describe.each(variants)('%s', (variant) => {
  // With convolutions and a window, so that each kind of state is there.
  test.each(['gla_conv', 'gsa_conv_t2r', 'hybrid'])(
    '%s: continuations from random cut points have the bits of uncached runs',
    async (name) => {
      const model = await openTinyModel(gpu, join(fixtures, name), variant)
      const uncached = await model.engine()
      // Few rows, so that most states come back from host memory.
      const cached = await model.engine({ snapshots: 6, hostSnapshots: 40 })
      const random = new Random(name.length)
      let [cutCount, reused] = [0, 0]
      // 200 cut points; the subgroup kernels are slow on CPUs.
      const rounds = variant === 'plain' ? 20 : 1
      for (let round = 0; round < rounds; round++) {
        const prompt = randomPrompt(random, random.integer(20, 260))
        const sampling = round % 2 ? GREEDY : { ...GREEDY, temperature: 1, seed: round }
        const cuts = Array.from({ length: 10 }, () => random.integer(1, prompt.length - 1))
        for (const cut of cuts) {
          // A request that ends at the cut leaves a state there.
          await run(cached, prompt.slice(0, cut), { maxTokens: 1, cacheBreakpoints: [cut] })
        }
        for (const cut of cuts) {
          const more = { cacheBreakpoints: [cut], sampling, maxTokens: 4 }
          const expected = await run(uncached, prompt, more)
          const actual = await run(cached, prompt, more)
          expect(actual.bits).toEqual(expected.bits)
          expect(expected.cache).toEqual({ read: 0, written: 0 })
          cutCount++
          if (actual.cache.read >= cut) reused++
        }
      }
      expect(cutCount).toBe(rounds * 10)
      // A state may be gone if several had to leave at once.
      expect(reused).toBeGreaterThanOrEqual(0.8 * cutCount)
      if (variant === 'plain') expect(cached.stats().prefixCache.demoted).toBeGreaterThan(100)
      expect(cached.stats().fault).toBeUndefined()
    },
    240_000,
  )
})

describe('reuse', async () => {
  const model = await openTinyModel(gpu, join(fixtures, 'gla'), 'plain')
  const random = new Random(5)

  test('an identical prompt is not computed again, whatever its sampling', async () => {
    const engine = await model.engine({ snapshots: 4 })
    const prompt = randomPrompt(random, 150)
    const first = await run(engine, prompt)
    expect(first.cache).toEqual({ read: 0, written: 150 })
    const again = await run(engine, prompt)
    expect(again).toEqual({ bits: first.bits, cache: { read: 150, written: 0 } })
    const sampling = { ...GREEDY, temperature: 1, seed: 3 }
    const sampled = await run(engine, prompt, { sampling })
    const uncached = await run(await model.engine(), prompt, { sampling })
    expect(sampled.cache.read).toBe(150)
    expect(sampled.bits).toEqual(uncached.bits)
  })

  test('only prefixes that leave no trace are used, unless rounding may differ', async () => {
    const prompt = randomPrompt(random, 200)
    const begin = prompt.slice(0, 100)
    const strict = await model.engine({ snapshots: 8 })
    await run(strict, begin)
    const exact = await run(strict, prompt)
    expect(exact.cache.read).toBe(0)
    expect(exact.bits).toEqual((await run(await model.engine(), prompt)).bits)
    const free = await model.engine({ snapshots: 8, exact: false })
    await run(free, begin)
    expect((await run(free, prompt)).cache.read).toBe(100)
  })

  test('the third prompt that begins like two before finds what they share', async () => {
    const engine = await model.engine({ snapshots: 16 })
    const shared = randomPrompt(random, 150)
    const reads: number[] = []
    for (let i = 0; i < 3; i++) {
      const prompt = [...shared, i, ...randomPrompt(random, 60)]
      const { bits, cache } = await run(engine, prompt)
      expect(bits).toEqual((await run(await model.engine(), prompt)).bits)
      reads.push(cache.read)
    }
    expect(reads).toEqual([0, 0, 128])
  })

  test('salts keep tenants apart', async () => {
    const engine = await model.engine({ snapshots: 8 })
    const prompt = randomPrompt(random, 90)
    const reads: number[] = []
    for (const cacheSalt of ['a', 'b', 'a', undefined]) {
      reads.push((await run(engine, prompt, { cacheSalt })).cache.read)
    }
    expect(reads).toEqual([0, 0, 90, 0])
  })

  test('requests that wait for the same new prefix compute it once', async () => {
    const engine = await model.engine({ snapshots: 16 })
    const shared = randomPrompt(random, 300)
    const prompts = Array.from({ length: 4 }, (_, i) => [...shared, i, ...randomPrompt(random, 20)])
    const results = await Promise.all(prompts.map((prompt) => run(engine, prompt)))
    expect(results.map(({ cache }) => cache.read)).toEqual([0, 256, 256, 256])
    for (const [i, { bits }] of results.entries()) {
      expect(bits).toEqual((await run(await model.engine(), prompts[i])).bits)
    }
    const twins = randomPrompt(random, 300)
    const pair = await Promise.all([run(engine, twins), run(engine, twins)])
    expect(pair.map(({ cache }) => cache.read)).toEqual([0, 300])
    expect(pair[1].bits).toEqual(pair[0].bits)
  })

  test('whoever waits for a prefix goes on alone if its maker is aborted', async () => {
    const engine = await model.engine({ snapshots: 16, promptTokens: 64 })
    const shared = randomPrompt(random, 400)
    const maker = engine.submit(requestOf([...shared, 1]))
    const waiting = run(engine, [...shared, 2])
    await Promise.resolve()
    maker.abort()
    const { bits } = await waiting
    expect(bits).toEqual((await run(await model.engine(), [...shared, 2])).bits)
    expect(engine.stats()).toMatchObject({ freeSlots: 4, waiting: 0, fault: undefined })
  })

  test('scored prompts are computed whole and leave no states', async () => {
    const engine = await model.engine({ snapshots: 4 })
    const prompt = randomPrompt(random, 130)
    const scored = { promptLogprobs: 2 }
    const first = await collect(engine.submit(requestOf(prompt, scored)))
    expect(first.promptLogprobs).toHaveLength(130)
    expect(first.cache).toEqual({ read: 0, written: 0 })
    await run(engine, prompt)
    const second = await collect(engine.submit(requestOf(prompt, scored)))
    expect(second).toEqual(first)
  })
})

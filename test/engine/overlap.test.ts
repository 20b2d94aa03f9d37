// Steps overlap: the next one is on the GPU before the one before it has come back, and what a
// sequence gets does not depend on it.
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import type { GlazeEngine } from '../../src/engine/engine.ts'
import { collect, openTinyModel, requestOf } from '../helpers/engine.ts'
import { openTestGpu, variants } from '../helpers/gpu.ts'
import { fixtures } from '../helpers/model.ts'
import { Random } from '../helpers/numbers.ts'
import { GREEDY } from '../helpers/sequences.ts'

const gpu = await openTestGpu()

test('two steps are in flight before the first one has come back', async () => {
  const model = await openTinyModel(gpu, join(fixtures, 'gla'), 'plain')
  const run = model.runner.run.bind(model.runner)
  let [inFlight, most] = [0, 0]
  model.runner.run = (work) => {
    most = Math.max(most, ++inFlight)
    return run(work).finally(() => inFlight--)
  }
  const engine = await model.engine()
  const { tokens } = await collect(engine.submit(requestOf([1, 2, 3], { maxTokens: 20 })))
  expect(most).toBe(2)
  const slow = await model.engine({ stepsInFlight: 1 })
  most = 0
  expect((await collect(slow.submit(requestOf([1, 2, 3], { maxTokens: 20 })))).tokens).toEqual(
    tokens,
  )
  expect(most).toBe(1)
})

describe.each(variants)('%s', (variant) => {
  test.each(['gla_conv', 'gsa', 'hybrid'])(
    '%s: the same bits alone and among others, greedy and seeded, prompts sliced or not',
    async (name) => {
      // CPUs take long for the subgroup kernels, whose bits models/invariance.test.ts holds among 64.
      const slots = variant === 'plain' ? 64 : 8
      const model = await openTinyModel(gpu, join(fixtures, name), variant, slots)
      const random = new Random(7)
      const requests = Array.from({ length: slots + 8 }, (_, i) => {
        const length = i % 9 === 0 ? random.integer(65, 300) : random.integer(1, 40)
        const prompt = Array.from({ length }, () => random.integer(0, 96))
        const seeded = { ...GREEDY, temperature: 0.9, topP: 0.95, seed: i }
        const penalties = { repetitionPenalty: 1.2, frequencyPenalty: 0.3 }
        const sampling = [GREEDY, seeded, { ...seeded, ...penalties }][i % 3]
        return requestOf(prompt, { maxTokens: random.integer(1, 12), sampling })
      })
      const all = (engine: GlazeEngine, some: typeof requests) =>
        Promise.all(some.map((request) => collect(engine.submit(request))))

      const engine = await model.engine()
      const alone = []
      for (const request of requests) alone.push(...(await all(engine, [request])))
      expect(await all(engine, requests)).toEqual(alone)
      for (const size of [2, 5, 17]) {
        for (let first = 0; first < requests.length; first += size * 3) {
          const some = requests.slice(first, first + size)
          expect(await all(engine, some)).toEqual(alone.slice(first, first + size))
        }
      }
      // A budget of one chunk cuts every prompt into slices of 64.
      const sliced = await model.engine({ promptTokens: 64 })
      expect(await all(sliced, requests)).toEqual(alone)
    },
    240_000,
  )
})

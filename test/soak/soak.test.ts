// 500 random requests against 4 slots: all end as they should and get what they would get alone.
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { loadTestModel, shipped } from '../helpers/model.ts'
import { judgeMemory, residentBytes } from './memory.ts'
import { Soak } from './soak.ts'

const ROUNDS = 20
const JOBS = 500
const TIMEOUT = 600_000

test(
  `${JOBS} requests on 4 slots`,
  async () => {
    await using model = await loadTestModel(join(shipped, 'tales-gla-5m'), 4, 128, {
      checked: false,
      // What answers are compared for; software adapters are so anyway.
      batchInvariant: true,
    })
    await using soak = new Soak(model, {
      seed: 3,
      promptTokens: 150,
      maxTokens: 16,
      atOnce: 24,
      repeated: 0.1,
    })
    const samples: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      await soak.round(JOBS / ROUNDS)
      samples.push(residentBytes())
    }
    expect(soak.problems).toEqual([])
    const { jobs, ended, aborted, forks, repeated, guides } = soak.counts
    expect(jobs).toBe(JOBS)
    // The mix did reach what it is for.
    expect(ended).toBeGreaterThan(JOBS * 0.8)
    expect(aborted).toBeGreaterThan(20)
    // Most find no slot free; how many do depends on the time that steps take.
    expect(forks).toBeGreaterThan(2)
    expect(repeated).toBeGreaterThan(20)
    expect(guides).toBeGreaterThan(40)
    expect(soak.engine.stats().prefixCache.hits).toBeGreaterThan(50)
    const memory = judgeMemory(samples)
    expect(memory, `resident bytes ${samples}`).toMatchObject({ flat: true })
  },
  TIMEOUT,
)

describe('memory', () => {
  const MiB = 2 ** 20
  const flat = Array.from({ length: 40 }, (_, i) => (i < 10 ? 100 + 20 * i : 300 + (i % 3)) * MiB)
  const leaking = flat.map((bytes, i) => bytes + i * 2 * MiB)

  test('growth after the first quarter shows', () => {
    expect(judgeMemory(flat).flat).toBe(true)
    expect(judgeMemory(leaking).flat).toBe(false)
  })
})

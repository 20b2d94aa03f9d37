// Masks that change from token to token, on the device: each row is written before the step that draws
// from it and after those before, and neighbours keep their bits.
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import type { GenerationRequest } from '../../src/engine/request.ts'
import { collect, openTinyModel, requestOf } from '../helpers/engine.ts'
import { openTestGpu, variants } from '../helpers/gpu.ts'
import { alternate, fakeGuides, oneOf } from '../helpers/guides.ts'
import { fixtures } from '../helpers/model.ts'
import { Random } from '../helpers/numbers.ts'
import { GREEDY } from '../helpers/sequences.ts'

const gpu = await openTestGpu()
const EOS = 5

describe.each(variants)('%s', (variant) => {
  test('guided, bounded and banned tokens are the same alone and in a crowd', async () => {
    const model = await openTinyModel(gpu, join(fixtures, 'gla'), variant, 6)
    const { vocabSize } = model.decoder
    const run = model.runner.run.bind(model.runner)
    let [inFlight, most] = [0, 0]
    model.runner.run = (work) => {
      most = Math.max(most, ++inFlight)
      return run(work).finally(() => inFlight--)
    }
    const random = new Random(11)
    const last = vocabSize - 1
    const runs = [
      [90, 91, 92, 93],
      [90, 91],
      [7, 7, 7, 7, 7, 7],
    ]
    const rules = [alternate(vocabSize), oneOf(runs, [EOS])]
    const guides = rules.map((rule) => fakeGuides({ vocabSize, rule }))
    const kinds: Partial<GenerationRequest>[] = [
      {},
      { guide: guides[0].make },
      { guide: guides[1].make },
      // Greedy models of random weights repeat themselves; these may not.
      { sampling: { ...GREEDY, bannedSequences: pairs(vocabSize) } },
      { minTokens: 5, stopTokenIds: Array.from({ length: last }, (_, id) => id) },
      {},
    ]
    const requests = Array.from({ length: 18 }, (_, i) => {
      const length = i % 7 === 0 ? random.integer(65, 200) : random.integer(1, 40)
      const prompt = Array.from({ length }, () => random.integer(0, last))
      return requestOf(prompt, { maxTokens: random.integer(6, 10), ...kinds[i % kinds.length] })
    })
    const engine = await model.engine({ snapshots: 4, eosTokenIds: [EOS] })
    const read = async (request: GenerationRequest) => {
      const { cache, ...rest } = await collect(engine.submit(request))
      return rest
    }
    const alone = []
    for (const request of requests) alone.push(await read({ ...request, cacheSalt: request.id }))
    most = 0
    expect(await Promise.all(requests.map(read))).toEqual(alone)
    expect(most).toBe(2)
    for (const [i, { tokens, finish }] of alone.entries()) {
      const ids = tokens.map(({ id }) => id)
      const kind = i % kinds.length
      if (kind === 1) expect(ids.every((id, place) => id % 2 === place % 2)).toBeTrue()
      if (kind === 2) {
        expect(runs.map(String)).toContain(String(ids.slice(0, -1)))
        expect(finish).toEqual({ reason: 'stop', stop: EOS })
      }
      if (kind === 3) expect(ids.slice(1).every((id, place) => id !== ids[place])).toBeTrue()
      if (kind === 4) {
        expect(ids.slice(0, 5)).toEqual([last, last, last, last, last])
        expect(ids.length).toBeGreaterThan(5)
      }
    }
    expect(guides.flatMap(({ made }) => made.map(({ disposals }) => disposals))).toEqual(
      new Array(12).fill(1),
    )
  }, 60_000)
})

/** Each token twice. */
function pairs(vocabSize: number): number[][] {
  return Array.from({ length: vocabSize }, (_, id) => [id, id])
}

// The prefix cache beside a naive one, through any mix of steps, prompts and copies to the host that
// succeed or fail; and every state that is handed out is the one that was asked for.
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { PrefixCache, type PrefixQuery } from '../../src/engine/prefix-cache.ts'
import { planCuts } from '../../src/engine/prefix-cuts.ts'
import { FakeMemory } from './prefix-fake-memory.ts'

interface Kept {
  salt: string
  tokens: string
  cuts: string
  logits: boolean
  place: 'gpu' | 'leaving' | 'host'
  use: number
}

interface Shape {
  exact: boolean
  rows: number
  hostRows: number
}

const text = ({ tokens }: PrefixQuery, length?: number) =>
  Array.from(tokens).slice(0, length).join('')
const oddCuts = ({ breakpoints }: PrefixQuery, end: number) =>
  breakpoints.filter((cut) => cut < end && cut % 64 > 0).join()

/** The rules, told with plain lists. */
class NaiveCache {
  /** Those to go first in front. */
  kept: Kept[] = []
  saves: Kept[] = []
  demoted = 0
  evicted = 0
  #uses = 0
  #submitted = 0

  constructor(readonly shape: Shape) {}

  find(query: PrefixQuery): Kept | undefined {
    const prompt = text(query)
    const usable = this.kept.filter(({ salt, tokens, cuts, logits, place }) => {
      const at = tokens.length
      if (salt !== query.salt || !prompt.startsWith(tokens) || place === 'leaving') return false
      if (at === prompt.length && !logits) return false
      if (!this.shape.exact) return true
      if (cuts !== oddCuts(query, at)) return false
      return at % 64 === 0 || at === prompt.length || query.breakpoints.includes(at)
    })
    const [longest] = usable.sort((a, b) => b.tokens.length - a.tokens.length)
    if (longest) this.#use(longest)
    return longest
  }

  put(query: PrefixQuery, position: number, logits: boolean): boolean {
    const { salt } = query
    const tokens = text(query, position)
    const cuts = oddCuts(query, position)
    const old = this.kept.find(
      (each) =>
        each.salt === salt && each.tokens === tokens && (!this.shape.exact || each.cuts === cuts),
    )
    if (old) {
      this.#use(old)
      if (old.logits || !logits) return false
    }
    if (old?.place !== 'gpu' && !this.#makeRoom()) return false
    if (old) Object.assign(old, { place: 'gpu', logits })
    else this.#use({ salt, tokens, cuts, logits, place: 'gpu', use: 0 })
    return true
  }

  row(kept: Kept): boolean {
    this.#use(kept)
    if (kept.place === 'gpu') return true
    if (!this.#makeRoom()) return false
    kept.place = 'gpu'
    return true
  }

  submitted(): void {
    this.#submitted = this.#uses
  }

  endSave(failed: boolean): void {
    const kept = this.saves.shift()
    // The copy may have been overtaken by a later one of the same snapshot.
    if (kept?.place !== 'leaving' || this.saves.includes(kept) || !this.kept.includes(kept)) return
    if (failed) this.#evict(kept)
    else {
      kept.place = 'host'
      this.#toEnd(kept)
      this.demoted++
    }
  }

  hostRows(): number {
    return this.kept.filter((each) => each.place === 'host').length + this.saves.length
  }

  gpuRows(): number {
    return this.kept.filter((each) => each.place === 'gpu').length
  }

  #makeRoom(): boolean {
    if (this.gpuRows() < this.shape.rows) return true
    const oldest = this.#oldest('gpu')
    if (!oldest) return false
    if (this.#hostTakes()) {
      oldest.place = 'leaving'
      this.saves.push(oldest)
    } else this.#evict(oldest)
    return true
  }

  #hostTakes(): boolean {
    if (this.shape.hostRows === 0 || this.saves.length === 2) return false
    if (this.hostRows() < this.shape.hostRows) return true
    const oldest = this.#oldest('host')
    if (!oldest) return false
    this.#evict(oldest)
    return true
  }

  #oldest(place: Kept['place']): Kept | undefined {
    const oldest = this.kept.find((each) => each.place === place)
    return oldest && oldest.use <= this.#submitted ? oldest : undefined
  }

  #use(kept: Kept): void {
    kept.use = ++this.#uses
    this.#toEnd(kept)
  }

  #toEnd(kept: Kept): void {
    this.kept = [...this.kept.filter((each) => each !== kept), kept]
  }

  #evict(kept: Kept): void {
    this.kept = this.kept.filter((each) => each !== kept)
    this.evicted++
  }
}

// Prompts of few kinds, so that they share beginnings that end at multiples of 32.
const query = fc
  .record({
    parts: fc.array(fc.tuple(fc.constantFrom(0, 0, 1), fc.constantFrom(32, 64, 64, 96)), {
      minLength: 1,
      maxLength: 4,
    }),
    salt: fc.constantFrom('', '', 'a'),
    breakpoints: fc.subarray([32, 64, 96, 160, 224], { maxLength: 2 }),
  })
  .map(({ parts, salt, breakpoints }): PrefixQuery => {
    const tokens = parts.flatMap(([token, count]) => new Array<number>(count).fill(token))
    return { tokens, salt, breakpoints: breakpoints.filter((at) => at <= tokens.length) }
  })
const step = fc.record({
  /** All of these run in one step, found and read before any is kept. */
  queries: fc.array(query, { minLength: 1, maxLength: 3 }),
  saves: fc.array(fc.constantFrom('end', 'end', 'fail'), { maxLength: 3 }),
})
const shape = fc.record({
  exact: fc.boolean(),
  rows: fc.integer({ min: 0, max: 5 }),
  hostRows: fc.integer({ min: 0, max: 4 }),
})

test('any mix of steps', async () => {
  const seen = { complete: 0, promoted: 0, noRow: 0, demoted: 0, failed: 0 }
  await fc.assert(
    fc.asyncProperty(
      shape,
      fc.array(step, { minLength: 5, maxLength: 25 }),
      async (shape, steps) => {
        const memory = new FakeMemory(shape.rows, shape.hostRows)
        const cache = new PrefixCache({ exact: shape.exact, memory })
        const naive = new NaiveCache(shape)
        for (const { queries, saves } of steps) {
          const starts = queries.map((query) => {
            const hit = cache.find(query)
            const expected = naive.find(query)
            expect(hit?.position).toBe(expected?.tokens.length)
            if (!hit || !expected) return 0
            expect(hit.complete).toBe(hit.position === query.tokens.length)
            if (expected.place === 'host') seen.promoted++
            const row = cache.row(hit)
            expect(row !== undefined).toBe(naive.row(expected))
            if (row === undefined) {
              seen.noRow++
              return 0
            }
            memory.encodeRead(row, (state) => {
              expect(state?.prefix).toBe(label(query, hit.position, shape.exact))
              if (hit.complete) expect(state?.logits).toBeTrue()
            })
            if (hit.complete) seen.complete++
            return hit.position
          })
          for (const [index, query] of queries.entries()) {
            const { length } = query.tokens
            const from = starts[index]
            if (from === length) continue
            const { breakpoints } = query
            const cuts = planCuts({ length, from, breakpoints, branch: cache.branch(query) })
            for (const position of [...cuts, length]) {
              const row = cache.put(query, position, position === length)
              expect(row !== undefined).toBe(
                shape.rows > 0 && naive.put(query, position, position === length),
              )
              if (row === undefined) continue
              const prefix = label(query, position, shape.exact)
              memory.encodeWrite(row, { prefix, logits: position === length })
            }
          }
          memory.submit()
          cache.submitted()
          naive.submitted()
          for (const end of saves) {
            if (memory.saves.length === 0) break
            if (end === 'fail') seen.failed++
            await memory.endSave(end === 'fail')
            naive.endSave(end === 'fail')
          }
          cache.check()
          const { snapshots, gpuBytes, hostBytes, demoted, evicted } = cache.stats()
          expect({ snapshots, gpuBytes, hostBytes, demoted, evicted }).toEqual({
            snapshots: naive.kept.length,
            gpuBytes: naive.gpuRows() * memory.rowBytes,
            hostBytes: naive.hostRows() * memory.rowBytes,
            demoted: naive.demoted,
            evicted: naive.evicted,
          })
        }
        seen.demoted += naive.demoted
        cache.clear()
        while (memory.saves.length > 0) await memory.endSave()
        cache.check()
        expect(cache.stats()).toMatchObject({ snapshots: 0, gpuBytes: 0, hostBytes: 0 })
      },
    ),
    { numRuns: 1000, seed: 1 },
  )
  // The mix reaches what it is meant to test.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(20)
})

/** The state after part of a prompt: what it has seen and, if that matters, how it was rounded. */
function label(query: PrefixQuery, end: number, exact: boolean): string {
  return `${query.salt}|${text(query, end)}|${exact ? oddCuts(query, end) : ''}`
}

import { describe, expect, test } from 'bun:test'
import { PrefixCache, type PrefixQuery } from '../../src/engine/prefix-cache.ts'
import { FakeMemory } from './prefix-fake-memory.ts'

/** A prompt of `length` tokens, all `token`. */
function prompt(length: number, breakpoints: number[] = [], salt = '', token = 1): PrefixQuery {
  return { tokens: new Array<number>(length).fill(token), salt, breakpoints }
}

function open({ rows = 4, hostRows = 0, exact = true } = {}) {
  const memory = new FakeMemory(rows, hostRows)
  const cache = new PrefixCache({ exact, memory })
  /** A step that computes a prompt up to `position`, with logits if that is its end. */
  const keep = (query: PrefixQuery, position = query.tokens.length) => {
    const row = cache.put(query, position, position === query.tokens.length)
    cache.submitted()
    cache.check()
    return row
  }
  const found = (query: PrefixQuery) => cache.find(query)?.position
  return { memory, cache, keep, found }
}

describe('which snapshot a prompt goes on from', () => {
  test('the longest; the whole prompt counts if its logits are there', () => {
    const { cache, keep, found } = open()
    keep(prompt(192), 64)
    keep(prompt(192), 128)
    expect(found(prompt(64))).toBeUndefined()
    expect(found(prompt(65))).toBe(64)
    expect(found(prompt(128))).toBe(64)
    expect(cache.find(prompt(300))).toMatchObject({ position: 128, complete: false })
    keep(prompt(128))
    expect(cache.find(prompt(128))).toMatchObject({ position: 128, complete: true })
    expect(found(prompt(300, [], '', 2))).toBeUndefined()
  })

  // A snapshot at `at` of a prompt of 200 tokens, and what a prompt of 300 finds of it.
  test.each<[string, number[], number, number[], boolean, boolean]>([
    ['aligned', [], 128, [], true, true],
    ['an unaligned end', [], 200, [], false, true],
    ['an unaligned end that is a breakpoint', [], 200, [200], true, true],
    ['an unaligned breakpoint that both have', [100], 100, [100], true, true],
    ['an unaligned breakpoint of the first only', [100], 100, [], false, true],
    ['aligned, past an unaligned breakpoint of the first', [100], 128, [], false, true],
    ['aligned, past an unaligned breakpoint of the second', [], 128, [100], false, true],
    ['aligned, past the same unaligned breakpoint', [100], 128, [100], true, true],
    ['aligned, past another unaligned breakpoint', [100], 128, [101], false, true],
    ['aligned, before unaligned breakpoints', [150], 128, [150, 160], true, true],
    ['aligned, past aligned breakpoints', [64], 128, [], true, true],
    ['unaligned breakpoint past a later one of the second', [100, 150], 150, [150], false, true],
  ])('%s', (_, first, at, second, exactly, roughly) => {
    for (const [exact, usable] of [
      [true, exactly],
      [false, roughly],
    ]) {
      const { keep, found } = open({ exact })
      expect(keep(prompt(200, first), at)).toBeNumber()
      expect(found(prompt(300, second))).toBe(usable ? at : undefined)
    }
  })

  test('a whole prompt at an unaligned end, if it was cut alike', () => {
    const { keep, found } = open()
    keep(prompt(200, [100]))
    expect(found(prompt(200, [100]))).toBe(200)
    expect(found(prompt(200, [100, 200]))).toBe(200)
    expect(found(prompt(200))).toBeUndefined()
  })

  test('computations that round differently are kept side by side if that matters', () => {
    for (const [exact, count] of [
      [true, 2],
      [false, 1],
    ] as const) {
      const { cache, keep, found } = open({ exact })
      keep(prompt(200, [100]), 128)
      keep(prompt(200), 128)
      expect(cache.stats().snapshots).toBe(count)
      expect([found(prompt(200)), found(prompt(200, [100]))]).toEqual([128, 128])
    }
  })

  test('salts are apart', () => {
    const { keep, found } = open()
    keep(prompt(128, [], 'a'))
    expect(found(prompt(128))).toBeUndefined()
    expect(found(prompt(128, [], 'b'))).toBeUndefined()
    expect(found(prompt(128, [], 'a'))).toBe(128)
  })

  test('the branch is the multiple of 64 up to which prompts are the same', () => {
    const { cache, keep } = open()
    const query = { ...prompt(300), tokens: [...(prompt(200).tokens as number[]), 7, 7] }
    expect(cache.branch(query)).toBe(0)
    keep(prompt(300))
    expect(cache.branch(query)).toBe(192)
    expect(cache.branch(prompt(63))).toBe(0)
    expect(cache.branch({ ...query, salt: 'a' })).toBe(0)
  })
})

describe('what is kept', () => {
  test('nothing twice', () => {
    const { cache, keep } = open()
    keep(prompt(300), 128)
    keep(prompt(192))
    const rows = [keep(prompt(300), 128), keep(prompt(192)), keep(prompt(300), 192)]
    expect(rows).toEqual([undefined, undefined, undefined])
    expect(cache.stats()).toMatchObject({ snapshots: 2, written: 2 })
  })

  test.each(['gpu', 'leaving', 'host'])(
    'logits are added to a snapshot in place: %s',
    async (at) => {
      const { cache, memory, keep } = open({ rows: 1, hostRows: 2 })
      keep(prompt(300), 128)
      if (at !== 'gpu') keep(prompt(64, [], 'other'))
      if (at === 'host') await memory.endSave()
      expect(keep(prompt(128))).toBe(0)
      expect(cache.find(prompt(128))).toMatchObject({ position: 128, complete: true })
      while (memory.saves.length > 0) await memory.endSave()
      cache.check()
      const [snapshots, hostBytes] = at === 'gpu' ? [1, 0] : [2, 12]
      expect(cache.stats()).toMatchObject({ snapshots, hostBytes, gpuBytes: 12, evicted: 0 })
    },
  )

  test('the least recently used goes, where found and put again counts as used', () => {
    const { cache, keep, found } = open({ rows: 3 })
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((salt) => prompt(64, [], salt))
    for (const query of [a, b, c]) keep(query)
    found(a)
    cache.submitted()
    keep(b)
    keep(d)
    expect([a, b, c, d].map(found)).toEqual([64, 64, undefined, 64])
    expect(cache.stats()).toMatchObject({ snapshots: 3, evicted: 1, demoted: 0 })
  })

  test('no row serves two snapshots of a step', () => {
    const { cache, keep, found } = open({ rows: 2 })
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((salt) => prompt(64, [], salt))
    keep(a)
    const hit = cache.find(a)!
    const rows = [cache.row(hit), cache.put(b, 64, true), cache.put(c, 64, true)]
    expect(rows[0]).toBe(0)
    expect(rows[1]).toBe(1)
    expect(rows[2]).toBeUndefined()
    cache.submitted()
    expect(keep(d)).toBe(0)
    expect([a, b, c, d].map(found)).toEqual([undefined, 64, undefined, 64])
    expect(cache.row(hit)).toBeUndefined()
  })

  test('a hit of an earlier step is safe from the moment that its row is asked for', () => {
    const { cache, keep } = open({ rows: 1 })
    keep(prompt(64))
    const hit = cache.find(prompt(64))!
    cache.submitted()
    expect(cache.row(hit)).toBe(0)
    expect(cache.put(prompt(64, [], 'a'), 64, true)).toBeUndefined()
    cache.submitted()
    expect(cache.put(prompt(64, [], 'a'), 64, true)).toBe(0)
  })

  test('without room nothing is kept or found', () => {
    const { cache, keep, found } = open({ rows: 0, hostRows: 0 })
    expect(cache.enabled).toBeFalse()
    expect(keep(prompt(128))).toBeUndefined()
    expect(found(prompt(128))).toBeUndefined()
    expect(cache.branch(prompt(128))).toBe(0)
  })

  test('counts and bytes', async () => {
    const { cache, memory, keep } = open({ rows: 1, hostRows: 1 })
    keep(prompt(128))
    keep(prompt(300), 192)
    // Also while the copy is under way its host memory is taken.
    expect(cache.stats()).toMatchObject({ gpuBytes: 12, hostBytes: 12, demoted: 0 })
    await memory.endSave()
    cache.used(cache.find(prompt(200))!)
    cache.missed()
    expect(cache.stats()).toEqual({
      snapshots: 2,
      gpuBytes: 12,
      hostBytes: 12,
      hits: 1,
      misses: 1,
      readTokens: 192,
      written: 2,
      demoted: 1,
      evicted: 0,
    })
  })
})

describe('host memory', () => {
  test('a snapshot goes there when another needs its row, and comes back when it is used', async () => {
    const { cache, memory, keep, found } = open({ rows: 1, hostRows: 2 })
    keep(prompt(128))
    keep(prompt(128, [], 'a'))
    expect(found(prompt(128))).toBeUndefined()
    await memory.endSave()
    const hit = cache.find(prompt(128))!
    expect(cache.row(hit)).toBe(0)
    cache.submitted()
    cache.check()
    expect(memory.saves).toHaveLength(1)
    expect(cache.stats()).toMatchObject({ snapshots: 2, demoted: 1, evicted: 0 })
  })

  test('a snapshot is dropped if the copies under way leave no buffer for it', () => {
    const { cache, keep } = open({ rows: 1, hostRows: 9 })
    for (const salt of ['a', 'b', 'c', 'd']) keep(prompt(64, [], salt))
    expect(cache.stats()).toMatchObject({ snapshots: 3, evicted: 1, hostBytes: 24 })
  })

  test('a copy that fails drops its snapshot and frees its memory', async () => {
    const { cache, memory, keep, found } = open({ rows: 1, hostRows: 1 })
    keep(prompt(64, [], 'a'))
    keep(prompt(64, [], 'b'))
    await memory.endSave(true)
    cache.check()
    expect(found(prompt(64, [], 'a'))).toBeUndefined()
    expect(cache.stats()).toMatchObject({ snapshots: 1, evicted: 1, demoted: 0, hostBytes: 0 })
  })

  test('forgetting all waits for copies under way, whether they succeed or fail', async () => {
    for (const failed of [false, true]) {
      const { cache, memory, keep, found } = open({ rows: 2, hostRows: 2 })
      for (const salt of ['a', 'b', 'c']) keep(prompt(64, [], salt))
      cache.clear()
      cache.check()
      expect(cache.stats()).toMatchObject({ snapshots: 0, gpuBytes: 0, hostBytes: 12 })
      keep(prompt(64, [], 'a'))
      await memory.endSave(failed)
      cache.check()
      expect(cache.stats()).toMatchObject({ snapshots: 1, gpuBytes: 12, hostBytes: 0, evicted: 0 })
      expect(found(prompt(64, [], 'a'))).toBe(64)
    }
  })
})

// The mask of one generation against the definition, token by token.
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { GenerationRequest } from '../../src/engine/request.ts'
import { maskWords, TokenMask } from '../../src/engine/token-mask.ts'
import { makeRequest } from '../helpers/fake-runner.ts'
import { fakeGuides, oneOf, type Rule } from '../helpers/guides.ts'
import { GREEDY } from '../helpers/sequences.ts'

const EOS = 2

/** Ids whose bits are set, also those beyond the vocabulary. */
function idsOf(words: Uint32Array): number[] {
  return Array.from({ length: words.length * 32 }, (_, id) => id).filter(
    (id) => (words[id >>> 5] >>> (id & 31)) & 1,
  )
}

function maskOf(vocabSize: number, more: Partial<GenerationRequest>): TokenMask {
  return TokenMask.of(makeRequest(more), { vocabSize, eosTokenIds: [EOS] })!
}

/** The mask of the next token as the slot's row holds it then. */
async function next(mask: TokenMask, row: number[]): Promise<number[]> {
  if (!mask.isReady) await mask.prepare()
  const words = mask.take()
  return words ? idsOf(words) : row
}

const up = (vocabSize: number) => Array.from({ length: vocabSize }, (_, id) => id)

test('a request that may draw anything has none', () => {
  const vocabulary = { vocabSize: 16, eosTokenIds: [EOS] }
  const plain = { stopTokenIds: [3], minTokens: 0, ignoreEos: true }
  const sampling = { ...GREEDY, bannedTokenIds: [], bannedSequences: [] }
  expect(TokenMask.of(makeRequest({ ...plain, sampling }), vocabulary)).toBeUndefined()
})

test.each([1, 31, 32, 33, 4096])('a vocabulary of %p tokens has no bits beyond it', (vocabSize) => {
  const words = maskOf(vocabSize, { sampling: { ...GREEDY, bannedTokenIds: [0] } }).take()!
  expect(words).toHaveLength(maskWords(vocabSize))
  expect(idsOf(words)).toEqual(up(vocabSize).slice(1))
})

const ids = fc.array(fc.nat(9), { maxLength: 4 })
const shape = fc.record({
  vocabSize: fc.constantFrom(10, 40),
  allowed: fc.option(fc.array(fc.nat(9), { minLength: 3, maxLength: 8 }), { nil: undefined }),
  banned: ids,
  runs: fc.array(fc.array(fc.nat(5), { minLength: 1, maxLength: 4 }), { maxLength: 4 }),
  stopTokenIds: ids,
  minTokens: fc.nat(6),
  /** Ids that the grammar allows, in turn; undefined: there is none. */
  grammar: fc.option(fc.array(ids, { minLength: 1, maxLength: 3 }), { nil: undefined }),
  drawn: fc.array(fc.nat(5), { minLength: 1, maxLength: 10 }),
})

test('each mask is what the fields of the request say, whatever was drawn', async () => {
  const property = fc.asyncProperty(shape, async (each) => {
    const { vocabSize, allowed, banned, runs, minTokens, stopTokenIds, grammar, drawn } = each
    const rule: Rule = (before) => grammar?.[before.length % grammar.length] ?? []
    const guide =
      grammar && fakeGuides({ vocabSize, rule: (before) => [...rule(before), ...drawn] })
    const sampling = {
      ...GREEDY,
      allowedTokenIds: allowed,
      bannedTokenIds: banned,
      bannedSequences: runs,
    }
    const request = { sampling, stopTokenIds, minTokens, guide: guide?.make }
    const mask = TokenMask.of(makeRequest(request), { vocabSize, eosTokenIds: [EOS] })
    const ends = [EOS, ...stopTokenIds]
    let row = up(vocabSize)
    for (const [i, id] of drawn.entries()) {
      const before = drawn.slice(0, i)
      const isRun = (last: number) =>
        runs.some((run) => String([...before, last].slice(-run.length)) === String(run))
      const inGrammar = (last: number) => !grammar || [...rule(before), ...drawn].includes(last)
      const open = up(vocabSize)
        .filter((last) => (allowed ?? [last]).includes(last) && !banned.includes(last))
        .filter((last) => inGrammar(last) && !isRun(last))
      const goingOn = i < minTokens ? open.filter((last) => !ends.includes(last)) : open
      const expected = grammar && goingOn.length === 0 ? open : goingOn
      if (mask) row = await next(mask, row)
      expect(row).toEqual(expected)
      mask?.accept(id)
    }
  })
  await fc.assert(property, { numRuns: 1000, seed: 1 })
})

describe('what follows from the tokens drawn', () => {
  test('is due once they are known, and not ready before', async () => {
    const guides = fakeGuides({ vocabSize: 8, rule: oneOf([[3, 4, 5]], [EOS]) })
    const mask = maskOf(8, { guide: guides.make })
    expect([mask.followsTokens, mask.isReady, mask.isDue]).toEqual([true, false, true])
    await mask.prepare()
    expect([mask.isReady, mask.isDue]).toEqual([true, false])
    expect(idsOf(mask.take()!)).toEqual([3])
    expect([mask.isReady, mask.isDue]).toEqual([false, false])
    expect(() => mask.take()).toThrow('a token is drawn before its mask is known')
  })

  test('other masks are always ready and change only at the least length', () => {
    const mask = maskOf(8, { minTokens: 2, sampling: { ...GREEDY, bannedTokenIds: [7] } })
    const rows = [0, 1, 2, 3].map(() => mask.take())
    expect(mask.followsTokens).toBeFalse()
    expect(rows.map((words) => words && idsOf(words))).toEqual([
      [0, 1, 3, 4, 5, 6],
      undefined,
      [0, 1, 2, 3, 4, 5, 6],
      undefined,
    ])
  })
})

test('a grammar that is at its end does end before the least length', async () => {
  const guides = fakeGuides({ vocabSize: 8, rule: oneOf([[3], [3, 4]], [EOS]) })
  const mask = maskOf(8, { guide: guides.make, minTokens: 5 })
  const rows: number[][] = []
  for (const id of [3, 4]) {
    rows.push(await next(mask, []))
    mask.accept(id)
  }
  rows.push(await next(mask, []))
  // It may go on after 3, so it has to; after 4 it cannot.
  expect(rows).toEqual([[3], [4], [EOS]])
})

test('a guide for a shorter vocabulary allows nothing beyond it', async () => {
  const guides = fakeGuides({ vocabSize: 32, rule: () => [1, 31] })
  expect(await next(maskOf(70, { guide: guides.make }), [])).toEqual([1, 31])
})

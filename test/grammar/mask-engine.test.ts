// The thread behind the masks: what fails inside of it stays there, and the others go on.

import { describe, expect, test } from 'bun:test'
import { ApiError } from '../../src/errors.ts'
import { MaskEngine } from '../../src/grammar/mask-engine.ts'
import { packTokens, unpackTokens } from '../../src/grammar/worker-messages.ts'
import { EOS, greedyTokens, openTestGrammars, tokenizer, tokensOf, VOCABULARY } from './walk.ts'

function openEngine(limitMs = 5000): MaskEngine {
  const tokens = Array.from({ length: VOCABULARY }, (_, id) =>
    tokenizer.isSpecial(id) ? new Uint8Array() : tokenizer.bytes(id),
  )
  const start = { ...packTokens(tokens), vocabSize: VOCABULARY, eosTokenIds: [EOS] }
  return new MaskEngine(() => start, limitMs)
}

function guideOf(engine: MaskEngine, ebnf: string, text = '') {
  const grammar = { id: engine.nextId(), ebnf }
  return { id: engine.nextId(), grammar, tokens: greedyTokens(text), isOpen: true, spentMs: 0 }
}

describe('a grammar that ends the engine', () => {
  const BROKEN: [what: string, ebnf: string, reason: string][] = [
    ['a syntax error', 'root ::= (', 'EBNF'],
    ['an unknown rule', 'root ::= missing', 'missing'],
    ['a stack overrun', `root ::= ${'('.repeat(2000)}"a"${')'.repeat(2000)}`, ''],
  ]

  test.each(BROKEN)(
    '%s: fails alone, with a reason; open guides go on',
    async (_, ebnf, reason) => {
      using engine = openEngine()
      const open = guideOf(engine, 'root ::= "left" | "right"', 'le')
      const before = await engine.mask(open)
      const calls = [
        engine.compile({ id: engine.nextId(), ebnf }),
        engine.mask(open),
        engine.compile({ id: engine.nextId(), ebnf: 'root ::= "fine"' }),
      ]
      const [broken, mask, fine] = await Promise.allSettled(calls)
      expect(broken.status).toBe('rejected')
      expect((broken as PromiseRejectedResult).reason.message).toContain(
        'the grammar cannot be used: ',
      )
      expect((broken as PromiseRejectedResult).reason.message).toContain(reason)
      expect(fine.status).toBe('fulfilled')
      expect((mask as PromiseFulfilledResult<Uint32Array>).value).toEqual(before)
      expect(await engine.mask(open)).toEqual(before)
    },
  )
})

test('a grammar that takes too long fails alone; open guides go on', async () => {
  using engine = openEngine(300)
  const open = guideOf(engine, 'root ::= "left" | "right"', 'r')
  const before = await engine.mask(open)
  const slow = `root ::= ${Array.from({ length: 400 }, (_, at) => `("item ${at} is " [a-z]*)?`).join(' ')}`
  const [late, mask] = await Promise.allSettled([
    engine.mask(guideOf(engine, slow)),
    engine.mask(open),
  ])
  expect((late as PromiseRejectedResult).reason.message).toBe(
    'the grammar takes more than 0.3 s of work',
  )
  expect((mask as PromiseFulfilledResult<Uint32Array>).value).toEqual(before)
})

test('a guide that is slow at each token is ended', async () => {
  using engine = openEngine(300)
  const slow = guideOf(engine, 'root ::= "a"*')
  slow.spentMs = 1000
  expect(engine.mask(slow)).rejects.toThrow('too much work for each token')
})

test('what a guide meets is reported as the fault of its request', async () => {
  using grammars = openTestGrammars({ limitMs: 30 })
  const ebnf = `root ::= ${Array.from({ length: 300 }, (_, at) => `("item ${at} is " [a-z]*)?`).join(' ')}`
  const error = await grammars
    .compile({ kind: 'grammar', ebnf }, 'structured_outputs.grammar')
    .catch((thrown) => thrown)
  expect(error).toBeInstanceOf(ApiError)
  expect(error).toMatchObject({ status: 400, param: 'structured_outputs.grammar' })
})

test('closing the engine fails what waits', async () => {
  const engine = openEngine()
  const waiting = engine.compile({ id: engine.nextId(), ebnf: 'root ::= "a"' })
  engine[Symbol.dispose]()
  expect(waiting).rejects.toThrow('closed')
})

test('guides that are closed while they wait do not come back with the next thread', async () => {
  using engine = openEngine()
  const guide = guideOf(engine, 'root ::= "a"')
  await engine.mask(guide)
  const broken = engine.compile({ id: engine.nextId(), ebnf: 'root ::= (' })
  const waiting = engine.mask(guide)
  guide.isOpen = false
  engine.closeGuide(guide.id)
  const [first, second] = await Promise.allSettled([broken, waiting])
  expect([first.status, second.status]).toEqual(['rejected', 'rejected'])
  expect(tokensOf(await engine.mask(guideOf(engine, 'root ::= "b"'))).length).toBeGreaterThan(0)
})

test('tokens are handed over in one piece', () => {
  const tokens = [[1, 2], [], [3], []].map((bytes) => Uint8Array.from(bytes))
  expect(unpackTokens(packTokens(tokens))).toEqual(tokens)
})

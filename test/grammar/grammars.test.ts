// Structured output end to end, without a model: kinds of specifications, masks, guides, the cache.

import { afterAll, describe, expect, test } from 'bun:test'
import { ApiError } from '../../src/errors.ts'
import type { GrammarSpec } from '../../src/grammar/guide.ts'
import {
  EOS,
  greedyTokens,
  isAllowed,
  openTestGrammars,
  randomNumbers,
  tokenizer,
  tokensOf,
  VOCABULARY,
  walk,
} from './walk.ts'

const grammars = openTestGrammars({ maxGrammars: 4 })

afterAll(() => grammars[Symbol.dispose]())

const KINDS: [spec: GrammarSpec, allowed: string[], refused: string[]][] = [
  [
    { kind: 'json_object' },
    ['{}', '{"a":1}', '{"a": [true, null, "x\\n\\u00e9"], "b":-1.5e3}'],
    [
      '[]',
      '1',
      '"a"',
      '{"a":1} ',
      ' {}',
      '{"a" :1}',
      '{a:1}',
      '{"a":01}',
      '{"a":1,}',
      '{"a":"\n"}',
    ],
  ],
  [
    { kind: 'json_schema', schema: { type: 'integer', minimum: 7 } },
    ['7', '1234'],
    ['6', '7.0', '07'],
  ],
  [{ kind: 'regex', pattern: '^(?:ab|c)+$' }, ['abc', 'c'], ['', 'a', 'abd']],
  [{ kind: 'regex', pattern: 'é{2}|[à-ü]😀' }, ['éé', 'à😀'], ['é', 'Ã©', 'a😀']],
  [
    { kind: 'choice', choices: ['yes', 'no', 'no way', 'nö\0'] },
    ['yes', 'no', 'no way', 'nö\0'],
    ['n', 'nö'],
  ],
  [{ kind: 'choice', choices: ['', 'a'] }, ['', 'a'], ['b']],
  [
    {
      kind: 'grammar',
      ebnf: 'root ::= "<" name ">" root? | item{2}\nname ::= [^<>]+\nitem ::= "\\u00e9" # é',
    },
    ['<a b>', '<a><b>éé', 'éé'],
    ['<>', 'é', '<a>é'],
  ],
  [{ kind: 'grammar', ebnf: 'root ::= root "+" root | [0-9]' }, ['1', '1+2+3'], ['+', '1+']],
]

describe.each(KINDS)('%j', (spec, allowed, refused) => {
  test.each(allowed)('allows %j', async (text) => {
    expect(await isAllowed(grammars, spec, text)).toBe(true)
  })

  test.each(refused)('does not allow %j', async (text) => {
    expect(await isAllowed(grammars, spec, text)).toBe(false)
  })
})

const ANYTHING: GrammarSpec = { kind: 'regex', pattern: '[\\s\\S]*' }

test('nothing is started before it is needed, and then once', async () => {
  using fresh = openTestGrammars()
  expect(fresh.isRunning).toBe(false)
  const specs = ['a', 'b', 'a', 'c'].map((pattern) => ({ kind: 'regex', pattern }) as const)
  const factories = await Promise.all(specs.map((spec) => fresh.compile(spec, 'x')))
  expect(fresh.isRunning).toBe(true)
  for (const [index, factory] of factories.entries()) {
    using guide = factory()
    const first = tokensOf(await guide.allowed()).map((id) => tokenizer.display(id))
    expect(first).toEqual([specs[index].pattern, specs[index].pattern])
  }
})

test('masks have a bit for every row of logits; special and missing tokens are never allowed', async () => {
  const vocabSize = VOCABULARY + 70
  using wide = openTestGrammars({ vocabSize, eosTokenIds: [EOS, VOCABULARY - 1] })
  using guide = (await wide.compile(ANYTHING, 'x'))()
  const mask = await guide.allowed()
  expect(mask.length).toBe(Math.ceil(vocabSize / 32))
  const allowed = new Set(tokensOf(mask))
  const ends = [EOS, VOCABULARY - 1]
  for (let id = 0; id < vocabSize; id++) {
    const isText = id < VOCABULARY && !tokenizer.isSpecial(id)
    if (ends.includes(id)) expect(allowed.has(id)).toBe(true)
    else if (!isText) expect([id, allowed.has(id)]).toEqual([id, false])
  }
  expect(allowed.size).toBeGreaterThan(3900)
})

test('whatever bytes are chosen, texts are UTF-8', async () => {
  const byteTokens = Array.from({ length: VOCABULARY }, (_, id) => id).filter((id) => {
    const bytes = tokenizer.bytes(id)
    return bytes.length === 1 && bytes[0] >= 0x80
  })
  expect(byteTokens.length).toBeGreaterThan(100)
  const random = randomNumbers(9)
  const factory = await grammars.compile({ kind: 'regex', pattern: '[^a]{40}' }, 'x')
  for (let round = 0; round < 20; round++) {
    using guide = factory()
    const bytes: number[] = []
    for (;;) {
      const allowed = tokensOf(await guide.allowed())
      if (allowed.includes(EOS)) break
      const high = byteTokens.filter((id) => allowed.includes(id))
      const id = high[Math.floor(random() * high.length)]
      guide.accept(id)
      bytes.push(...tokenizer.bytes(id))
    }
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      Uint8Array.from(bytes),
    )
    expect(Array.from(text).length).toBe(40)
    expect(text).not.toMatch(/[\u2028\u2029]/)
  }
})

describe('a guide', () => {
  const spec: GrammarSpec = { kind: 'choice', choices: ['left', 'right'] }

  test('gives its caller a mask that can be changed', async () => {
    using guide = (await grammars.compile(spec, 'x'))()
    const first = await guide.allowed()
    const before = first.slice()
    first.fill(0)
    expect(await guide.allowed()).toEqual(before)
    guide.accept(tokensOf(before)[0])
  })

  test('refuses a token that is not allowed and goes on', async () => {
    using guide = (await grammars.compile(spec, 'x'))()
    expect(() => guide.accept(tokenizer.id('▁up')!)).toThrow('allowed() comes before accept()')
    await guide.allowed()
    expect(() => guide.accept(100_000)).toThrow('token 100000 is not allowed')
    expect(() => guide.accept(0)).toThrow('token 0 is not allowed')
    guide.accept(greedyTokens('left')[0])
  })

  test('can be disposed twice and is of no use afterwards', async () => {
    const guide = (await grammars.compile(spec, 'x'))()
    await guide.allowed()
    guide[Symbol.dispose]()
    guide[Symbol.dispose]()
    expect(guide.allowed()).rejects.toThrow('disposed')
  })

  test('is independent of others of the same factory', async () => {
    const factory = await grammars.compile(spec, 'x')
    using left = factory()
    using right = factory()
    await Promise.all([left.allowed(), right.allowed()])
    left.accept(greedyTokens('left')[0])
    right.accept(greedyTokens('right')[0])
    const [a, b] = await Promise.all([left.allowed(), right.allowed()])
    expect(a).not.toEqual(b)
  })
})

describe('the cache', () => {
  test('is bounded, and grammars that were dropped serve their guides', async () => {
    const spec = (index: number): GrammarSpec => ({ kind: 'regex', pattern: `x{${index + 3}}` })
    const factory = await grammars.compile(spec(0), 'x')
    using early = factory()
    const before = tokensOf(await early.allowed())
    for (let index = 1; index < 10; index++) await grammars.compile(spec(index), 'x')
    expect(grammars.cached).toBe(4)
    early.accept(greedyTokens('x')[0])
    expect(tokensOf(await early.allowed()).length).toBeGreaterThan(0)
    early[Symbol.dispose]()
    using late = factory()
    expect(tokensOf(await late.allowed())).toEqual(before)
  })

  test('does not keep what failed', async () => {
    using fresh = openTestGrammars({ limitMs: 100 })
    await fresh.compile({ kind: 'choice', choices: ['a'] }, 'x')
    const items = Array.from({ length: 400 }, (_, at) => `("item ${at} is " [a-z]*)?`)
    const slow = fresh.compile({ kind: 'grammar', ebnf: `root ::= ${items.join(' ')}` }, 'x')
    expect(slow).rejects.toThrow('the grammar takes more than 0.1 s of work')
    await slow.catch(() => {})
    expect(fresh.cached).toBe(1)
  })
})

test('a model without an end token gets no structured output', async () => {
  using endless = openTestGrammars({ eosTokenIds: [] })
  expect(endless.compile(ANYTHING, 'x')).rejects.toThrow('no end-of-sequence token')
})

const REFUSED: [spec: GrammarSpec, reason: string][] = [
  [{ kind: 'choice', choices: [] }, 'f: no text satisfies this choice'],
  [
    { kind: 'choice', choices: Array.from({ length: 1001 }, (_, i) => `${i}`) },
    'there are 1001 choices (at most 1000)',
  ],
  [{ kind: 'choice', choices: ['\udc00'] }, 'half of a surrogate pair'],
  [{ kind: 'choice', choices: ['a\u2028b'] }, 'U+2028'],
  [{ kind: 'choice', choices: ['a'.repeat(70_000)] }, 'characters (at most 65536)'],
  [{ kind: 'regex', pattern: '(?!a)b' }, 'pattern "(?!a)b", position 2: '],
  [{ kind: 'grammar', ebnf: 'root ::= root "a"' }, 'f: no text satisfies this grammar'],
  [{ kind: 'json_schema', schema: { enum: [] } }, 'f: no text satisfies this schema'],
]

test.each(REFUSED)('%j is refused', async (spec, reason) => {
  const error = await grammars.compile(spec, 'f').catch((thrown) => thrown)
  expect(error).toBeInstanceOf(ApiError)
  expect(error).toMatchObject({ status: 400, param: 'f' })
  expect(error.message).toContain(reason)
})

test('walks of a grammar that refers to itself end', async () => {
  const ebnf = 'root ::= sum\nsum ::= term ("+" sum)?\nterm ::= [0-9]{1,3} | "(" sum ")"'
  const factory = await grammars.compile({ kind: 'grammar', ebnf }, 'x')
  for (let seed = 0; seed < 20; seed++) {
    using guide = factory()
    const { text, isFinished } = await walk(guide, randomNumbers(seed))
    expect(isFinished).toBe(true)
    expect(text).toMatch(/^[0-9+()]+$/)
  }
})

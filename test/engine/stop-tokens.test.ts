// What a request says about its end and about runs of tokens: stop tokens, the least length, what is
// kept in the text, and banned runs. The model of most tests says `d` (3) if it may.
import { describe, expect, test } from 'bun:test'
import type { GenerationRequest, Output } from '../../src/engine/request.ts'
import {
  collect,
  EOS,
  type FakeOptions,
  makePrompt,
  makeRequest,
  oneHot,
  openFakeEngine,
  VOCAB,
} from '../helpers/fake-runner.ts'

/** Best to worst as listed, then all others alike. */
const ranked = (...ids: number[]) =>
  Array.from({ length: VOCAB }, (_, id) => (ids.includes(id) ? ids.length - ids.indexOf(id) : 0))

/** What the only request of an engine gets. */
async function answer(more: Partial<GenerationRequest>, options: FakeOptions = {}) {
  const { engine } = await openFakeEngine({ logits: () => oneHot(3), ...options })
  const outputs = await collect(engine.submit(makeRequest(more)))
  const all = (of: (output: Output) => string) => outputs.map(of).join('')
  return {
    text: all(({ text }) => text),
    ids: outputs.flatMap(({ tokens }) => tokens.map(({ id }) => id)),
    offsets: outputs.flatMap(({ tokens }) => tokens.map(({ offset }) => offset)),
    finish: outputs.at(-1)!.finish,
  }
}

/** Says the letters of a text one after another. */
const says =
  (text: string): FakeOptions['logits'] =>
  ({ count }) =>
    oneHot(text.charCodeAt(count - 1) - 97)

const { sampling } = makeRequest()

describe('stop tokens', () => {
  test.each<[string, Partial<GenerationRequest>, string]>([
    ['end the generation and add no text', {}, 'ab'],
    ['even if end-of-sequence tokens do not', { ignoreEos: true }, 'ab'],
    ['or are text together with stop strings', { includeStop: true }, 'abe'],
  ])('%s', async (_, more, text) => {
    const request = { maxTokens: 9, stopTokenIds: [7, 4], ...more }
    expect(await answer(request, { logits: says('abefg') })).toEqual({
      text,
      ids: [0, 1, 4],
      offsets: [0, 1, 2],
      finish: { reason: 'stop', stop: 4 },
    })
  })

  test('an end-of-sequence token may be one of them', async () => {
    const request = { ignoreEos: true, stopTokenIds: [EOS] }
    expect(await answer(request, { logits: () => oneHot(EOS) })).toMatchObject({
      text: '',
      finish: { reason: 'stop', stop: EOS },
    })
  })

  test('the last token that may be generated is one', async () => {
    const request = { maxTokens: 3, stopTokenIds: [3] }
    expect(await answer(request, { logits: says('abdd') })).toMatchObject({
      text: 'ab',
      finish: { reason: 'stop', stop: 3 },
    })
  })
})

describe('special tokens', () => {
  const tokenizer = {
    bytes: (id: number) => Uint8Array.of(97 + id),
    isSpecial: (id: number) => id === EOS || id === 5,
    stripsLeadingSpace: false,
  }

  test.each<[string, Partial<GenerationRequest>, string]>([
    ['are left out', {}, 'ab'],
    ['are kept, but for the ending one', { skipSpecialTokens: false }, 'afb'],
    ['are kept', { skipSpecialTokens: false, includeStop: true }, 'afbc'],
    ['are left out with a kept end', { includeStop: true }, 'ab'],
    ['are kept while they end nothing', { skipSpecialTokens: false, ignoreEos: true }, 'afbc'],
  ])('%s', async (_, more, text) => {
    const result = await answer({ maxTokens: 4, ...more }, { tokenizer, logits: says('afbc') })
    expect(result.text).toBe(text)
    expect(result.ids).toEqual([0, 5, 1, EOS])
  })
})

describe('a least length', () => {
  test.each([0, 1, 2, 5, 8])('of %p keeps tokens that end from being drawn', async (minTokens) => {
    const request = { maxTokens: 8, minTokens, stopTokenIds: [4] }
    const { ids, finish } = await answer(request, { logits: () => ranked(EOS, 4, 3) })
    const isCut = minTokens === 8
    expect(ids).toEqual([...new Array(minTokens).fill(3), ...(isCut ? [] : [EOS])])
    expect(finish).toEqual(isCut ? { reason: 'length' } : { reason: 'stop', stop: EOS })
  })

  test('also keeps out an end-of-sequence token that is to be ignored', async () => {
    const request = { maxTokens: 4, minTokens: 2, ignoreEos: true }
    expect((await answer(request, { logits: () => ranked(EOS, 3) })).ids).toEqual([3, 3, EOS, EOS])
  })

  test('lets stop strings pass that are completed before', async () => {
    const request = { maxTokens: 9, minTokens: 4, stop: ['bc', 'ef'] }
    const options = { logits: says('abdbefbe'), eosTokenIds: [] }
    expect((await answer(request, options)).text).toBe('abdb')
    const late = { ...request, minTokens: 6 }
    expect(await answer(late, { ...options, logits: says('abefbdbef') })).toMatchObject({
      text: 'abefbdb',
      finish: { reason: 'stop', stop: 'ef' },
    })
  })

  test('holds for each of several rows, whatever their places in steps', async () => {
    const { engine } = await openFakeEngine({ slots: 3, logits: () => ranked(EOS, 3) })
    const requests = [0, 3, 70, 5, 150].map((length, i) =>
      makeRequest({ prompt: [1, ...makePrompt(length, i)], maxTokens: 9, minTokens: i }),
    )
    const outputs = await Promise.all(requests.map((each) => collect(engine.submit(each))))
    expect(outputs.map(({ length }) => length)).toEqual([1, 2, 3, 4, 5])
  })

  test('of a fork counts its own tokens', async () => {
    const { engine } = await openFakeEngine({ logits: () => ranked(EOS, 3) })
    const parent = engine.submit(makeRequest({ maxTokens: 20, ignoreEos: true, minTokens: 1 }))
    const reader = parent[Symbol.asyncIterator]()
    await reader.next()
    const fork = engine.fork(parent, makeRequest({ id: 'fork', maxTokens: 9, minTokens: 4 }))
    while (!(await reader.next()).done);
    const ids = (await collect(fork)).flatMap(({ tokens }) => tokens.map(({ id }) => id))
    expect(ids).toEqual([3, 3, 3, 3, EOS])
  })

  test('keeps two steps on their way', async () => {
    const { engine, runner } = await openFakeEngine({ held: true, logits: () => ranked(EOS, 3) })
    const outputs = collect(engine.submit(makeRequest({ maxTokens: 9, minTokens: 3 })))
    const steps = [await runner.next(), await runner.next()]
    for (const step of steps) step.finish()
    runner.release()
    expect((await outputs).map(({ tokens }) => tokens[0].id)).toEqual([3, 3, 3, EOS])
  })
})

describe('banned runs', () => {
  const banned = (...bannedSequences: number[][]) => ({
    maxTokens: 7,
    sampling: { ...sampling, bannedSequences },
  })
  const logits = () => ranked(3, 4, 5)

  test.each<[string, number[][], string]>([
    ['one id is never drawn', [[3]], 'eeeeeee'],
    ['a pair', [[3, 3]], 'dededed'],
    ['a run of three', [[3, 3, 3]], 'ddedded'],
    [
      'several that end alike or begin alike',
      [
        [3, 3],
        [4, 3],
        [3, 4],
      ],
      'dfdfdfd',
    ],
    ['longer than what there is', [[3, 3, 3, 3, 3, 3, 3, 3]], 'ddddddd'],
    ['nothing', [[]], 'ddddddd'],
  ])('%s', async (_, runs, text) => {
    const { ids, text: got } = await answer(banned(...runs), { logits })
    for (const run of runs.filter(({ length }) => length > 0)) {
      expect(`,${ids},`).not.toContain(`,${run},`)
    }
    expect(got).toBe(text)
  })

  test('the prompt is no part of a run', async () => {
    const request = { ...banned([3, 3]), prompt: [3] }
    expect((await answer(request, { logits })).text).toBe('dededed')
  })

  test('other samples of the prompt have runs of their own', async () => {
    const { engine } = await openFakeEngine({ slots: 3, logits })
    const first = engine.submit(makeRequest(banned([3, 3])))
    const others = [[[3, 3, 3]], []].map((runs) =>
      engine.submit(makeRequest({ ...banned(...runs), sampleOf: first })),
    )
    const outputs = await Promise.all([first, ...others].map(collect))
    const texts = outputs.map((all) => all.map(({ text }) => text).join(''))
    expect(texts).toEqual(['dededed', 'ddedded', 'ddddddd'])
  })

  test('a mask that leaves nothing ends the generation with an error', async () => {
    const { engine } = await openFakeEngine({ logits })
    const only = { ...sampling, allowedTokenIds: [3], bannedSequences: [[3, 3]] }
    const generation = engine.submit(makeRequest({ sampling: only }))
    await expect(collect(generation)).rejects.toMatchObject({
      status: 400,
      message: 'no token is allowed: every id is banned',
    })
    expect(engine.stats()).toMatchObject({ freeSlots: 2, running: 0, fault: undefined })
  })
})

test('each token comes with its place in the text, in code points', async () => {
  const utf8 = [...new TextEncoder().encode('a😀b')]
  const tokenizer = {
    bytes: (id: number) => Uint8Array.of(utf8[id]),
    isSpecial: () => false,
    stripsLeadingSpace: false,
  }
  const request = { maxTokens: 6, ignoreEos: true }
  const logits: FakeOptions['logits'] = ({ count }) => oneHot(count - 1)
  const { text, offsets } = await answer(request, { tokenizer, logits })
  expect(text).toBe('a😀b')
  expect(offsets).toEqual([0, 1, 1, 1, 1, 2])
})

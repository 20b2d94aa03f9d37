// The soak's checks see what is wrong with an answer.
import { describe, expect, test } from 'bun:test'
import type { GenerationRequest } from '../../src/engine/request.ts'
import { fakeGuides, oneOf } from '../helpers/guides.ts'
import { type Answer, checkAnswer, compareAnswers } from './answers.ts'

const vocabulary = {
  tokenizer: {
    decode: (ids: readonly number[], { skipSpecialTokens = true } = {}) =>
      ids.map((id) => (id === 2 && skipSpecialTokens ? '' : String.fromCharCode(94 + id))).join(''),
  },
  eosTokenIds: [2],
}

function request(more: Partial<GenerationRequest> = {}): GenerationRequest {
  const sampling = { temperature: 0, topP: 1, topK: 0, minP: 0, seed: undefined }
  return { id: 'r', prompt: [5, 6], maxTokens: 3, sampling, stop: [], ...more }
}

function answer(ids: number[], text: string, more: Partial<Answer> = {}): Answer {
  return {
    text,
    tokens: ids.map((id, i) => ({ id, offset: i })),
    promptLogprobs: undefined,
    finish: { reason: 'length' },
    cache: { read: 0, written: 0 },
    ...more,
  }
}

/** One letter `a`. */
const grammar = fakeGuides({ vocabSize: 8, rule: oneOf([[3]], [2]) }).make

const problemsOf = (of: GenerationRequest, got: Answer) => [
  ...checkAnswer({ request: of, answer: got }, vocabulary),
]

describe('sound answers', () => {
  test.each<[string, GenerationRequest, Answer]>([
    ['as long as asked for', request(), answer([3, 4, 5], 'abc')],
    ['ended by the model', request(), answer([3, 2], 'a', { finish: { reason: 'stop', stop: 2 } })],
    [
      'ended by a stop string',
      request({ stop: ['b'] }),
      answer([3, 4], 'a', { finish: { reason: 'stop', stop: 'b' } }),
    ],
    [
      'that keeps its stop string',
      request({ stop: ['b'], includeStop: true }),
      answer([3, 4], 'ab', { finish: { reason: 'stop', stop: 'b' } }),
    ],
    [
      'ended by a stop token, after an ignored one',
      request({ stopTokenIds: [4], ignoreEos: true, skipSpecialTokens: false }),
      answer([2, 4], '`', { finish: { reason: 'stop', stop: 4 } }),
    ],
    [
      'that keeps its stop token',
      request({ stopTokenIds: [4], includeStop: true }),
      answer([3, 4], 'ab', { finish: { reason: 'stop', stop: 4 } }),
    ],
    ['of the least length', request({ minTokens: 3, stop: ['a'] }), answer([3, 4, 5], 'abc')],
    [
      'of a grammar that ends before the least length',
      request({ minTokens: 3, guide: grammar }),
      answer([3, 2], 'a', { finish: { reason: 'stop', stop: 2 } }),
    ],
    ['given up', request(), answer([3], '', { finish: undefined, cache: undefined })],
    [
      'with log-probabilities',
      request({ logprobs: 1, maxTokens: 1 }),
      answer([3], 'a', {
        tokens: [{ id: 3, offset: 0, logprob: -1, top: [{ id: 3, logprob: -1 }] }],
      }),
    ],
    [
      'of a scored prompt',
      request({ promptLogprobs: 0, maxTokens: 0 }),
      answer([], '', { promptLogprobs: [undefined, { id: 6, logprob: -2, top: [] }] }),
    ],
  ])('%s', (_, of, got) => {
    expect(problemsOf(of, got)).toEqual([])
  })
})

describe('wrong answers', () => {
  const banned = { ...request().sampling, bannedTokenIds: [4] }
  const runs = { ...request().sampling, bannedSequences: [[3, 4]] }
  const stopped = { reason: 'stop' as const, stop: 2 }
  const allowed = { ...request().sampling, allowedTokenIds: [3] }
  test.each<[string, GenerationRequest, Answer]>([
    ['too short', request(), answer([3, 4], 'ab')],
    ['too long', request(), answer([3, 4, 5, 6], 'abcd')],
    ['other text', request(), answer([3, 4, 5], 'abd')],
    ['no stop token', request(), answer([3, 4], 'ab', { finish: { reason: 'stop', stop: 2 } })],
    [
      'ended at an ignored token',
      request({ ignoreEos: true }),
      answer([3, 2], 'a', { finish: { reason: 'stop', stop: 2 } }),
    ],
    [
      'a stop string in the text',
      request({ stop: ['b'] }),
      answer([3, 4], 'ab', { finish: { reason: 'stop', stop: 'b' } }),
    ],
    [
      'a stop string that does not follow',
      request({ stop: ['c'] }),
      answer([3, 4], 'a', { finish: { reason: 'stop', stop: 'c' } }),
    ],
    ['given up, with other text', request(), answer([3], 'b', { finish: undefined })],
    ['a banned token', request({ sampling: banned }), answer([3, 4, 5], 'abc')],
    ['a token that is not allowed', request({ sampling: allowed }), answer([3, 3, 4], 'aab')],
    ['no log-probabilities', request({ logprobs: 0 }), answer([3, 4, 5], 'abc')],
    [
      'NaN',
      request({ logprobs: 0, maxTokens: 1 }),
      answer([3], 'a', { tokens: [{ id: 3, offset: 0, logprob: Number.NaN, top: [] }] }),
    ],
    ['no scores', request({ promptLogprobs: 0 }), answer([3, 4, 5], 'abc')],
    ['a banned run', request({ sampling: runs }), answer([3, 4, 5], 'abc')],
    ['outside of the grammar', request({ guide: grammar }), answer([3, 4, 5], 'abc')],
    ['a grammar left open', request({ guide: grammar }), answer([2], '', { finish: stopped })],
    ['ended too early', request({ minTokens: 2 }), answer([3, 2], 'a', { finish: stopped })],
    [
      'ended too early by a stop string',
      request({ minTokens: 2, stop: ['b'] }),
      answer([3, 4], 'a', { finish: { reason: 'stop', stop: 'b' } }),
    ],
    ['going on after a stop token', request({ stopTokenIds: [3] }), answer([3, 4, 5], 'abc')],
    [
      'text of a stop token',
      request({ stopTokenIds: [4] }),
      answer([3, 4], 'ab', { finish: { reason: 'stop', stop: 4 } }),
    ],
    [
      'a stop string cut off that was to be kept',
      request({ stop: ['b'], includeStop: true }),
      answer([3, 4], 'a', { finish: { reason: 'stop', stop: 'b' } }),
    ],
    [
      'a token at another place',
      request({ maxTokens: 2 }),
      answer([3, 4], 'ab', {
        tokens: [
          { id: 3, offset: 0 },
          { id: 4, offset: 0 },
        ],
      }),
    ],
    ['no cache use', request(), answer([3, 4, 5], 'abc', { cache: undefined })],
  ])('%s', (_, of, got) => {
    expect(problemsOf(of, got)).not.toEqual([])
  })
})

describe('against the same request alone', () => {
  const alone = answer([3, 4, 5], 'abc')
  const differences = (got: Answer, inherited?: number) => [
    ...compareAnswers(got, alone, inherited),
  ]

  test('equal ones, beginnings and forks differ in nothing', () => {
    expect(differences(answer([3, 4, 5], 'abc'))).toEqual([])
    expect(differences(answer([3, 4], 'a', { finish: undefined }))).toEqual([])
    expect(differences(answer([4, 5], 'bc'), 1)).toEqual([])
  })

  test.each<[string, Answer, number | undefined]>([
    ['a token', answer([3, 4, 6], 'abc'), undefined],
    ['a text', answer([3, 4, 5], 'abd'), undefined],
    ['an end', answer([3, 4, 5], 'abc', { finish: { reason: 'stop', stop: 5 } }), undefined],
    ['a token before the reader gave up', answer([3, 5], 'a', { finish: undefined }), undefined],
    ['a token of a fork', answer([5, 5], 'cc'), 1],
  ])('%s', (_, got, inherited) => {
    expect(differences(got, inherited)).not.toEqual([])
  })

  test('log-probabilities are compared to the last bit', () => {
    const scored = (logprob: number, score: number) =>
      answer([3], 'a', {
        tokens: [{ id: 3, offset: 0, logprob, top: [{ id: 3, logprob }] }],
        promptLogprobs: [undefined, { id: 6, logprob: score, top: [] }],
      })
    const [one, next] = [Math.fround(-1.5), -1.5000001192092896]
    const differ = (got: Answer) => [...compareAnswers(got, scored(one, one))].length
    expect(differ(scored(one, one))).toBe(0)
    expect(differ(scored(next, one))).toBe(1)
    expect(differ(scored(one, next))).toBe(1)
  })
})

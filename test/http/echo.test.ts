// Echo, log-probabilities and token ids of completions: what evaluation tools read.

import { describe, expect, test } from 'bun:test'
import type { Output, PromptLogprob } from '../../src/engine/request.ts'
import { type Json, readEvents, testApp } from './test-app.ts'

const json = async (response: Response): Promise<Json> => response.json()

/** Words of these tests: id 7 is ` w7`, id 1 begins a text and has no text of its own. */
const PROMPT = [1, 7, 9]
const SCORES: PromptLogprob[] = [
  undefined,
  { id: 7, logprob: -2, top: [{ id: 8, logprob: -0.5 }, { id: 7, logprob: -2 }] }, // biome-ignore format: pairs
  { id: 9, logprob: -4, top: [{ id: 5, logprob: -0.25 }, { id: 6, logprob: -3 }] }, // biome-ignore format: pairs
]
const OUTPUTS: Output[] = [
  {
    text: ' w3',
    tokens: [{ id: 3, offset: 0, logprob: -0.5, top: [{ id: 3, logprob: -0.5 }] }],
    promptLogprobs: SCORES,
  },
  {
    text: ' w4',
    tokens: [{ id: 4, offset: 3, logprob: -1.5, top: [{ id: 6, logprob: -1 }] }],
    finish: { reason: 'length' },
    cache: { read: 0, written: 0 },
  },
]

/** The reply to a request whose generations all give these outputs. */
async function replyTo(body: object, outputs = OUTPUTS, count = 1) {
  const { engine, post } = testApp({ words: 'manual' })
  const response = post({ prompt: PROMPT, ...body })
  const generations = await engine.submitted(count)
  for (const [index, generation] of generations.entries()) {
    for (const output of outputs) {
      // A prompt is scored for its first sample only.
      const own = index === 0 ? output : { ...output, promptLogprobs: undefined }
      generation.output(own)
    }
  }
  return { engine, response: await response }
}

async function choicesOf(body: object, outputs = OUTPUTS, count = 1): Promise<Json[]> {
  return (await json((await replyTo(body, outputs, count)).response)).choices
}

describe('echo', () => {
  test('puts the prompt before the text, in its own spelling if it was a string', async () => {
    expect((await choicesOf({ echo: true }))[0].text).toBe(' w7 w9 w3 w4')
    expect((await choicesOf({ echo: true, prompt: 'as  given' }))[0].text).toBe('as  given w3 w4')
    expect((await choicesOf({ echo: false, prompt: 'as  given' }))[0].text).toBe(' w3 w4')
  })

  test('with logprobs has the four lists of prompt and text', async () => {
    const { engine, response } = await replyTo({ echo: true, logprobs: 1, temperature: 0 })
    expect(engine.requests[0]).toMatchObject({ logprobs: 1, promptLogprobs: 1 })
    const [choice] = (await json(response)).choices
    expect(choice.logprobs).toEqual({
      tokens: ['<s>', ' w7', ' w9', ' w3', ' w4'],
      token_logprobs: [null, -2, -4, -0.5, -1.5],
      top_logprobs: [
        null,
        { ' w8': -0.5, ' w7': -2 },
        { ' w5': -0.25, ' w9': -4 },
        { ' w3': -0.5 },
        { ' w6': -1, ' w4': -1.5 },
      ],
      text_offset: [0, 0, 3, 6, 9],
    })
    for (const [index, token] of choice.logprobs.tokens.entries()) {
      if (index === 0) continue
      const at = choice.logprobs.text_offset[index]
      expect(choice.text.slice(at, at + token.length)).toBe(token)
    }
  })

  test('offsets are places in the text, also where the prompt spells special tokens', async () => {
    const tokenizer = {
      // `<s>` is added in front; spelled in the text it is the same token.
      encode: (text: string, { addSpecialTokens = true } = {}) => [
        ...(addSpecialTokens ? [1] : []),
        ...text.split(/(<s>)/).flatMap((part) => (part === '<s>' ? [1] : part === '' ? [] : [7])),
      ],
      pieces: (ids: readonly number[], { skipSpecialTokens = true } = {}) =>
        ids.map((id) => (id === 7 ? 'Hi' : skipSpecialTokens ? '' : '<s>')),
    }
    const scores = [undefined, SCORES[1], SCORES[1], SCORES[1]]
    const outputs = [{ ...OUTPUTS[0], promptLogprobs: scores }, OUTPUTS[1]]
    const { engine, post } = testApp({ words: 'manual', tokenizer })
    const response = post({ prompt: 'Hi<s>Hi', echo: true, logprobs: 0 })
    const [generation] = await engine.submitted(1)
    for (const output of outputs) generation.output(output)
    const [choice] = (await json(await response)).choices
    expect(choice.text).toBe('Hi<s>Hi w3 w4')
    expect(choice.logprobs.text_offset).toEqual([0, 0, 2, 5, 7, 10])
  })

  test('of a text that its tokens do not give back is that of the tokens, if they are scored', async () => {
    const body = { echo: true, prompt: 'as  given' }
    const [choice] = await choicesOf({ ...body, logprobs: 0 })
    expect(choice.text).toBe(' w4 w2 w7 w3 w4')
  })

  test('of more than a reply can hold is refused', async () => {
    const { engine, post } = testApp()
    const prompt = Array<number>(20_000).fill(7)
    const response = await post({ prompt, echo: true, logprobs: 20, n: 10, max_tokens: 0 })
    expect(response.status).toBe(400)
    expect((await json(response)).error).toMatchObject({ param: 'logprobs' })
    expect(engine.generations).toEqual([])
  })

  test('with max_tokens 0 scores the prompt only', async () => {
    const only: Output[] = [
      { text: '', tokens: [], promptLogprobs: SCORES, finish: { reason: 'length' } },
    ]
    const [choice] = await choicesOf({ echo: true, logprobs: 0, max_tokens: 0 }, only)
    expect(choice).toMatchObject({ text: ' w7 w9', finish_reason: 'length' })
    expect(choice.logprobs).toEqual({
      tokens: ['<s>', ' w7', ' w9'],
      token_logprobs: [null, -2, -4],
      top_logprobs: [null, { ' w7': -2 }, { ' w9': -4 }],
      text_offset: [0, 0, 3],
    })
  })

  test('gives every sample the scores of the prompt', async () => {
    const choices = await choicesOf({ echo: true, logprobs: 1, n: 2 }, OUTPUTS, 2)
    expect(choices[1].logprobs).toEqual(choices[0].logprobs)
    expect(choices[1].index).toBe(1)
  })

  test('in a stream comes with the first chunk of each choice', async () => {
    const { response } = await replyTo({ echo: true, logprobs: 1, stream: true, n: 2 }, OUTPUTS, 2)
    const events = (await readEvents(response)).slice(0, -1)
    const [whole] = await choicesOf({ echo: true, logprobs: 1 })
    for (const index of [0, 1]) {
      const parts = events.map((event) => event.choices[0]).filter((part) => part.index === index)
      expect(parts.map((part) => part.text)).toEqual([' w7 w9 w3', ' w4', ''])
      expect(parts.map((part) => part.finish_reason)).toEqual([null, null, 'length'])
      for (const list of ['tokens', 'token_logprobs', 'top_logprobs', 'text_offset']) {
        expect(parts.flatMap((part) => part.logprobs[list])).toEqual(whole.logprobs[list])
      }
    }
  })

  test('in a stream waits for the scores, which another sample may bring later', async () => {
    const { engine, post } = testApp({ words: 'manual' })
    const response = await post({ prompt: PROMPT, echo: true, logprobs: 1, stream: true, n: 2 })
    const [first, second] = engine.generations
    for (const output of OUTPUTS) second.output({ ...output, promptLogprobs: undefined })
    await Promise.resolve()
    for (const output of OUTPUTS) first.output(output)
    const events = (await readEvents(response)).slice(0, -1)
    const texts = (index: number) =>
      events.filter((event) => event.choices[0].index === index).map((e) => e.choices[0].text)
    expect(texts(1).join('')).toBe(' w7 w9 w3 w4')
    expect(texts(0).join('')).toBe(' w7 w9 w3 w4')
    const opening = events.find((event) => event.choices[0].index === 1)
    expect(opening.choices[0].logprobs.token_logprobs.slice(0, 3)).toEqual([null, -2, -4])
  })
})

describe('logprobs', () => {
  test('are of the generated tokens, with 0 to 20 alternatives and the token itself', async () => {
    const { engine, response } = await replyTo({ logprobs: 1 })
    expect(engine.requests[0]).toMatchObject({ logprobs: 1, promptLogprobs: undefined })
    expect((await json(response)).choices[0].logprobs).toEqual({
      tokens: [' w3', ' w4'],
      token_logprobs: [-0.5, -1.5],
      top_logprobs: [{ ' w3': -0.5 }, { ' w6': -1, ' w4': -1.5 }],
      text_offset: [0, 3],
    })
  })

  test('in a stream come with the text of their tokens, the last token with the finish', async () => {
    const outputs: Output[] = [
      { text: '', tokens: [{ id: 3, offset: 0, logprob: -1, top: [] }] },
      { text: ' w3 w', tokens: [{ id: 4, offset: 3, logprob: -2, top: [] }] },
      {
        text: '',
        tokens: [{ id: 2, offset: 6, logprob: -3, top: [] }],
        finish: { reason: 'stop', stop: 2 },
      },
    ]
    const { response } = await replyTo({ logprobs: 0, stream: true }, outputs)
    const parts = (await readEvents(response)).slice(0, -1).map((event) => event.choices[0])
    expect(parts.map((part) => [part.text, part.logprobs.token_logprobs])).toEqual([
      [' w3 w', [-1, -2]],
      ['', [-3]],
    ])
  })

  test('are never below -9999', async () => {
    const outputs: Output[] = [
      {
        text: 'x',
        tokens: [{ id: 3, offset: 0, logprob: -Infinity, top: [{ id: 9, logprob: -1e9 }] }],
        finish: { reason: 'length' },
      },
    ]
    const [{ logprobs }] = await choicesOf({ logprobs: 1 }, outputs)
    expect(logprobs.token_logprobs).toEqual([-9999])
    expect(logprobs.top_logprobs).toEqual([{ ' w9': -9999, ' w3': -9999 }])
  })

  test('name tokens by their ids if asked for', async () => {
    const [{ logprobs }] = await choicesOf({ logprobs: 1, return_tokens_as_token_ids: true })
    expect(logprobs.tokens).toEqual(['token_id:3', 'token_id:4'])
    expect(logprobs.top_logprobs[1]).toEqual({ 'token_id:6': -1, 'token_id:4': -1.5 })
  })
})

describe('prompt_logprobs', () => {
  test('have a map of alternatives for each token but the first', async () => {
    const { engine, response } = await replyTo({ prompt_logprobs: 1 })
    expect(engine.requests[0]).toMatchObject({ logprobs: undefined, promptLogprobs: 1 })
    const [choice] = (await json(response)).choices
    expect(choice.logprobs).toBeNull()
    expect(choice.prompt_logprobs).toEqual([
      null,
      {
        8: { logprob: -0.5, rank: 1, decoded_token: ' w8' },
        7: { logprob: -2, rank: null, decoded_token: ' w7' },
      },
      {
        5: { logprob: -0.25, rank: 1, decoded_token: ' w5' },
        9: { logprob: -4, rank: null, decoded_token: ' w9' },
      },
    ])
  })

  test('beside an echo of other width', async () => {
    const body = { prompt_logprobs: 2, echo: true, logprobs: 0 }
    const { engine, response } = await replyTo(body)
    expect(engine.requests[0]).toMatchObject({ logprobs: 0, promptLogprobs: 2 })
    const [choice] = (await json(response)).choices
    expect(Object.keys(choice.prompt_logprobs[2])).toEqual(['5', '6', '9'])
    expect(choice.logprobs.top_logprobs[1]).toEqual({ ' w7': -2 })
  })
})

describe('token ids', () => {
  test('of prompt and text if asked for', async () => {
    const [choice] = await choicesOf({ return_token_ids: true })
    expect(choice).toMatchObject({ prompt_token_ids: PROMPT, token_ids: [3, 4] })
    expect((await choicesOf({}))[0]).not.toHaveProperty('token_ids')
  })

  test('in a stream, the prompt in the first chunk', async () => {
    const { response } = await replyTo({ return_token_ids: true, stream: true })
    const parts = (await readEvents(response)).slice(0, -1).map((event) => event.choices[0])
    expect(parts.flatMap((part) => part.token_ids)).toEqual([3, 4])
    expect(parts.map((part) => part.prompt_token_ids)).toEqual([PROMPT, undefined, undefined])
  })
})

test.each<[object, Output['finish'], string | number | null]>([
  [{ stop: 'x' }, { reason: 'stop', stop: 'x' }, 'x'],
  [{ stop_token_ids: [5] }, { reason: 'stop', stop: 5 }, 5],
  [{}, { reason: 'stop', stop: 2 }, null],
  [{}, { reason: 'length' }, null],
])('%j that ends by %j has the stop_reason %j', async (body, finish, expected) => {
  const [choice] = await choicesOf(body, [{ text: '', tokens: [], finish }])
  expect(choice).toMatchObject({ stop_reason: expected, finish_reason: finish?.reason })
})

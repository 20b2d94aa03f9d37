import { describe, expect, test } from 'bun:test'
import type { Output, OutputToken } from '../../src/engine/request.ts'
import { chatApp } from './chat-app.ts'
import { type Json, readEvents } from './test-app.ts'

/** Outputs of one generation, each token with its text; the last one ends it. */
function outputs(words: string[], last: Partial<Output> = {}): Output[] {
  let offset = 0
  const all = words.map((word): Output => {
    const token = scored(word.charCodeAt(0), offset)
    offset += [...word].length
    return { text: word, tokens: [token] }
  })
  return [...all, { text: '', tokens: [], finish: { reason: 'stop' }, ...last }]
}

function scored(id: number, offset: number): OutputToken {
  return {
    id,
    offset,
    logprob: -id,
    top: [
      { id, logprob: -id },
      { id: 33, logprob: -1e9 },
    ],
  }
}

/** Plays outputs to every choice of one request. */
async function play(body: object, script: Output[]): Promise<Response> {
  const { engine, chat } = chatApp({ words: 'manual' })
  const response = chat(body)
  const count = (body as { n?: number }).n ?? 1
  for (const generation of await engine.submitted(count)) {
    for (const output of script) generation.output(output)
  }
  return response
}

const whole = async (body: object, script: Output[]): Promise<Json> =>
  (await play(body, script)).json()
const streamed = async (body: object, script: Output[]): Promise<Json[]> =>
  readEvents(await play({ ...body, stream: true }, script))

const alternatives = (logprob: number) => [
  { token: String.fromCharCode(-logprob), logprob, bytes: [-logprob] },
]

describe('a whole reply', () => {
  test('has every key of the API', async () => {
    const { chat } = chatApp()
    const init = { headers: { 'x-request-id': 'id-1' } }
    const reply = (await (await chat({ model: 'alias', max_tokens: 3 }, init)).json()) as Json
    expect(reply).toEqual({
      id: 'chatcmpl-id-1',
      object: 'chat.completion',
      created: expect.any(Number),
      model: 'alias',
      system_fingerprint: 'glaze-1.2.3-tales',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Once upon a', refusal: null },
          ...{ logprobs: null, finish_reason: 'length', stop_reason: null },
        },
      ],
      usage: {
        ...{ prompt_tokens: 55, completion_tokens: 3, total_tokens: 58 },
        prompt_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
      },
    })
  })

  test('several choices, in order', async () => {
    const { choices, usage } = await chatApp().reply({ n: 3 })
    expect(choices.map(({ index }: Json) => index)).toEqual([0, 1, 2])
    expect(usage).toMatchObject({ prompt_tokens: 55, completion_tokens: 12 })
  })

  test('log-probabilities of each token, with the least that is sent', async () => {
    const [choice] = (await whole({ logprobs: true, top_logprobs: 2 }, outputs(['a', 'é']))).choices
    const least = { token: '!', logprob: -9999, bytes: [33] }
    expect(choice.logprobs).toEqual({
      content: [
        {
          ...{ token: 'a', logprob: -97, bytes: [97] },
          top_logprobs: [...alternatives(-97), least],
        },
        {
          ...{ token: 'é', logprob: -233, bytes: [0xc3, 0xa9] },
          top_logprobs: [{ token: 'é', logprob: -233, bytes: [0xc3, 0xa9] }, least],
        },
      ],
      refusal: null,
    })
  })

  test('no alternatives unless asked for, and tokens by their ids', async () => {
    const body = { logprobs: true, return_tokens_as_token_ids: true }
    const [choice] = (await whole(body, outputs(['a']))).choices
    expect(choice.logprobs.content).toEqual([
      { token: 'token_id:97', logprob: -97, bytes: [97], top_logprobs: [] },
    ])
  })

  test.each<[string, object, Partial<Output>, string | number | null, string[]]>([
    [
      'an end-of-sequence token',
      {},
      { tokens: [scored(2, 2)], finish: { reason: 'stop', stop: 2 } },
      null,
      ['a', 'b'],
    ],
    [
      'a stop token',
      { stop_token_ids: [5] },
      { tokens: [scored(5, 2)], finish: { reason: 'stop', stop: 5 } },
      5,
      ['a', 'b'],
    ],
    [
      'a stop token that is shown',
      { stop_token_ids: [99], include_stop_str_in_output: true },
      { text: 'c', tokens: [scored(99, 2)], finish: { reason: 'stop', stop: 99 } },
      99,
      ['a', 'b', 'c'],
    ],
    [
      'a stop string',
      { stop: 'cd' },
      { tokens: [scored(99, 2), scored(100, 3)], finish: { reason: 'stop', stop: 'cd' } },
      'cd',
      ['a', 'b'],
    ],
  ])('what %s leaves', async (_, body, last, stopReason, names) => {
    const script = outputs(['a', 'b'], last)
    const request = { ...body, logprobs: true, return_token_ids: true }
    const [choice] = (await whole(request, script)).choices
    expect(choice).toMatchObject({ finish_reason: 'stop', stop_reason: stopReason })
    expect(choice.logprobs.content.map(({ token }: Json) => token)).toEqual(names)
    expect(choice.message.content).toBe(names.join(''))
    // All that was generated, whatever is shown of it.
    expect(choice.token_ids).toEqual(script.flatMap(({ tokens }) => tokens.map(({ id }) => id)))

    const chunks = (await streamed(request, script)).slice(0, -1)
    const parts = chunks.map(({ choices: [each] }) => each)
    expect(parts.at(-1)).toMatchObject({ finish_reason: 'stop', stop_reason: stopReason })
    expect(
      parts.flatMap((part) => part.logprobs?.content ?? []).map(({ token }: Json) => token),
    ).toEqual(names)
    expect(parts.flatMap((part) => part.token_ids ?? [])).toEqual(choice.token_ids)
  })

  test('ids and scores of the prompt', async () => {
    const promptLogprobs = [undefined, { id: 97, logprob: -1, top: [{ id: 98, logprob: -0.5 }] }]
    const script = outputs([], { promptLogprobs })
    const reply = await whole({ prompt_logprobs: 1, return_token_ids: true }, script)
    expect(String.fromCharCode(...reply.prompt_token_ids)).toStartWith('<s><|im_start|>user\nHi')
    expect(reply.prompt_logprobs).toEqual([
      null,
      {
        97: { logprob: -1, rank: null, decoded_token: 'a' },
        98: { logprob: -0.5, rank: 1, decoded_token: 'b' },
      },
    ])
  })
})

describe('a stream', () => {
  test('a first chunk with the role, chunks of text, and an end without content', async () => {
    const events = await streamed({ stream_options: { include_usage: true } }, outputs(['a', 'b']))
    const rest = { logprobs: null, stop_reason: null }
    expect(events.slice(0, -2).map(({ choices }) => choices)).toEqual([
      [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null, ...rest }],
      [{ index: 0, delta: { content: 'a' }, finish_reason: null, ...rest }],
      [{ index: 0, delta: { content: 'b' }, finish_reason: null, ...rest }],
      [{ index: 0, delta: {}, finish_reason: 'stop', ...rest }],
    ])
    expect(events.slice(0, -2).every(({ usage }) => usage === null)).toBe(true)
    expect(events.at(-2)).toMatchObject({ choices: [], usage: { completion_tokens: 2 } })
    expect(events.at(-1)).toBe('data: [DONE]')
    expect(events[0]).toMatchObject({ object: 'chat.completion.chunk', model: 'tales' })
  })

  test('no usage unless asked for', async () => {
    const events = await streamed({}, outputs(['a']))
    expect(events.slice(0, -1).some((event) => 'usage' in event)).toBe(false)
  })

  test('every choice begins before the first token', async () => {
    const { engine, chat } = chatApp({ words: 'manual' })
    const response = await chat({ n: 2, stream: true, return_token_ids: true })
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    while (text.split('data: ').length < 3) text += (await reader.read()).value
    const [first, second] = text
      .split('data: ')
      .slice(1)
      .map((each) => JSON.parse(each))
    expect([first.choices[0].index, second.choices[0].index]).toEqual([0, 1])
    expect(first.prompt_token_ids).toEqual(engine.requests[0].prompt)
    expect(second).not.toContainKey('prompt_token_ids')
    for (const generation of engine.generations) generation.finish('stop')
    while (!(await reader.read()).done);
  })

  test('log-probabilities go with the text that they are of', async () => {
    const held: Output = { text: '', tokens: [scored(97, 0)] }
    const script = [held, ...outputs(['b'], { text: 'c', finish: { reason: 'length' } })]
    const events = await streamed({ logprobs: true }, script)
    const seen = events
      .slice(0, -1)
      .map(({ choices: [{ delta, logprobs }] }) => [
        delta.content,
        logprobs?.content.map(({ token }: Json) => token),
      ])
    expect(seen).toEqual([
      ['', undefined],
      ['b', ['a', 'b']],
      ['c', []],
      [undefined, undefined],
    ])
  })

  test('says the same as a whole reply', async () => {
    const script = outputs(['Once', ' upon', ' a', ' time'])
    const [choice] = (await whole({}, script)).choices
    const events = await streamed({}, script)
    const text = events.slice(0, -1).map(({ choices }) => choices[0].delta.content ?? '')
    expect(text.join('')).toBe(choice.message.content)
  })

  test('a fault after the status is an event', async () => {
    const { engine, chat } = chatApp({ words: 'manual' })
    const response = chat({ stream: true })
    const [generation] = await engine.submitted(1)
    generation.emit('a')
    generation.fail(new Error('boom'))
    const events = await readEvents(await response)
    expect(events.at(-1)).toMatchObject({ error: { type: 'server_error', code: 'internal_error' } })
  })

  test('a client that hangs up frees the slot', async () => {
    const { engine, chat } = chatApp({ words: 'manual' })
    const response = await chat({ stream: true, n: 2 })
    const generations = await engine.submitted(2)
    await response.body?.cancel()
    await Promise.all(generations.map(({ aborted }) => aborted))
  })
})

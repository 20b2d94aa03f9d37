// Cases of the llama.cpp and vLLM suites that hold for any server, told anew: what changes the
// choice of tokens and the end of a text, on /v1/completions. See portable-completions.test.ts.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { RawClient, textsOf } from '../helpers/raw-client.ts'
import { type ServerProcess, startServer } from '../helpers/server.ts'
import type { Json } from '../http/test-app.ts'

setDefaultTimeout(60_000)

const ROUTE = '/v1/completions'
const greedy = { prompt: 'Once upon a time', max_tokens: 12, temperature: 0 }
const ids = { return_token_ids: true }

let server: ServerProcess
let client: RawClient

beforeAll(async () => {
  server = await startServer()
  client = new RawClient(server.url)
})

afterAll(() => server?.[Symbol.asyncDispose]())

async function choiceOf(body: object): Promise<Json> {
  return (await client.ask(ROUTE, { ...greedy, ...ids, ...body })).choices[0]
}

describe('token choice', () => {
  test('logit_bias -100 bans, +100 forces', async () => {
    const { token_ids } = await choiceOf({})
    const banned = await choiceOf({ logit_bias: { [token_ids[0]]: -100 } })
    expect(banned.token_ids).not.toContain(token_ids[0])
    const forced = await choiceOf({ logit_bias: { 362: 100 }, temperature: 1, seed: 1 })
    expect(forced.token_ids).toEqual(Array(12).fill(362))
  })

  test('allowed_token_ids', async () => {
    const { token_ids } = await choiceOf({ allowed_token_ids: [362, 381], temperature: 2 })
    expect(token_ids.every((id: number) => id === 362 || id === 381)).toBe(true)
  })

  test('bad_words', async () => {
    const { text } = await choiceOf({})
    const words = text.trim().split(' ').slice(0, 2)
    const without = await choiceOf({ bad_words: [words[0]] })
    expect(without.text).not.toContain(words[0])
    // Of two words both may come, but not one after the other.
    const apart = await choiceOf({ bad_words: [words.join(' ')] })
    expect(apart.text).not.toContain(words.join(' '))
    expect(apart.text).toContain(words[0])
  })

  test('a seed repeats a text, another seed does not', async () => {
    const sample = async (seed: number) => (await choiceOf({ temperature: 1, seed })).text
    const first = await sample(42)
    expect(await sample(42)).toBe(first)
    expect(await sample(43)).not.toBe(first)
  })

  test('the text of a seed depends neither on neighbours nor on slots and steps', async () => {
    const body = { ...greedy, temperature: 1, seed: 7, max_tokens: 24 }
    const { text } = await choiceOf(body)
    const crowd = Array.from({ length: 12 }, (_, seed) =>
      client.ask(ROUTE, { ...body, prompt: 'The king said to the queen', seed: seed + 100 }),
    )
    const inCrowd = await Promise.all([...crowd, client.ask(ROUTE, body)])
    expect(inCrowd.at(-1).choices[0].text).toBe(text)
    await using small = await startServer(['--max-num-seqs', '2', '--max-num-batched-tokens', '64'])
    const reply = await new RawClient(small.url).ask(ROUTE, body)
    expect(reply.choices[0].text).toBe(text)
  }, 60_000)

  test('a seed of more than 64 bits', async () => {
    for (const seed of [2 ** 65, -(2 ** 65)]) {
      const { status, json } = await client.post(ROUTE, { ...greedy, seed })
      expect([status, json.error.param]).toEqual([400, 'seed'])
    }
  })
})

describe('ends', () => {
  test('a stop string is left out, or kept if asked for', async () => {
    const { text } = await choiceOf({})
    const stop = text.slice(5, 9)
    const before = text.slice(0, text.indexOf(stop))
    expect(await choiceOf({ stop })).toMatchObject({
      ...{ text: before, finish_reason: 'stop', stop_reason: stop },
    })
    const kept = await choiceOf({ stop: ['never seen', stop], include_stop_str_in_output: true })
    expect(kept).toMatchObject({ text: before + stop, finish_reason: 'stop', stop_reason: stop })
    for (const include_stop_str_in_output of [false, true]) {
      const body = { ...greedy, stop, include_stop_str_in_output }
      const [streamed] = textsOf(await client.stream(ROUTE, body))
      expect(streamed).toBe(include_stop_str_in_output ? before + stop : before)
    }
  })

  test('stop_token_ids end a text like an end-of-sequence token', async () => {
    const { token_ids, text } = await choiceOf({})
    const id = token_ids[4]
    const first = token_ids.indexOf(id)
    const stopped = await choiceOf({ stop_token_ids: [id], ignore_eos: true })
    expect(stopped).toMatchObject({ finish_reason: 'stop', stop_reason: id })
    expect(stopped.token_ids.slice(0, first)).toEqual(token_ids.slice(0, first))
    expect(text).toStartWith(stopped.text)
    expect(stopped.text).not.toBe(text)
  })

  test('min_tokens puts the end off', async () => {
    const eos = { logit_bias: { 2: 100 } }
    expect(await choiceOf(eos)).toMatchObject({ text: '', finish_reason: 'stop' })
    const { usage, choices } = await client.ask(ROUTE, { ...greedy, ...eos, min_tokens: 5 })
    expect(choices[0].finish_reason).toBe('stop')
    expect(usage.completion_tokens).toBe(6)
    expect(choices[0].text).not.toBe('')
    const { status, json } = await client.post(ROUTE, { ...greedy, min_tokens: 13 })
    expect([status, json.error.param]).toEqual([400, 'min_tokens'])
  })

  test('ignore_eos goes on behind it; skip_special_tokens shows it', async () => {
    const body = { logit_bias: { 2: 100 }, ignore_eos: true, max_tokens: 3 }
    const hidden = await choiceOf(body)
    expect(hidden).toMatchObject({ text: '', token_ids: [2, 2, 2], finish_reason: 'length' })
    expect((await choiceOf({ ...body, skip_special_tokens: false })).text).toBe('</s></s></s>')
  })

  test('finish reasons of several samples', async () => {
    const body = { ...greedy, temperature: 1, seed: 9, n: 4, max_tokens: 30, stop: [' the'] }
    const { choices } = await client.ask(ROUTE, body)
    for (const { text, finish_reason, stop_reason } of choices) {
      expect(text).not.toContain(' the')
      expect([finish_reason, stop_reason]).toEqual(
        finish_reason === 'stop' && stop_reason !== null ? ['stop', ' the'] : [finish_reason, null],
      )
    }
    const events = await client.stream(ROUTE, body)
    const ends = events.flatMap((event) => event.choices).filter(({ finish_reason: r }) => r)
    expect(ends.map(({ index }) => index).sort()).toEqual([0, 1, 2, 3])
    expect(textsOf(events)).toEqual(choices.map(({ text }: Json) => text))
  })
})

describe('structured_outputs', () => {
  const bounded = { max_tokens: 60 }

  test('choice, regex, grammar, json', async () => {
    const outputs = (structured_outputs: object) => choiceOf({ ...bounded, structured_outputs })
    expect(['north', 'south']).toContain((await outputs({ choice: ['north', 'south'] })).text)
    expect((await outputs({ regex: '[0-9]{3}-[a-f]{2}' })).text).toMatch(/^[0-9]{3}-[a-f]{2}$/)
    const grammar = 'root ::= "the " beast\nbeast ::= "wolf" | "fox"'
    expect((await outputs({ grammar })).text).toMatch(/^the (wolf|fox)$/)
    const json = { type: 'array', items: { enum: [1, 2] }, minItems: 2, maxItems: 2 }
    for (const form of [json, JSON.stringify(json)]) {
      const { text, finish_reason } = await outputs({ json: form })
      expect(JSON.parse(text)).toHaveLength(2)
      expect(finish_reason).toBe('stop')
    }
  })

  test.each<[string, object, string]>([
    ['a broken regex', { regex: '(' }, 'structured_outputs.regex'],
    ['a broken grammar', { grammar: 'root ::= missing' }, 'structured_outputs.grammar'],
    ['a schema of no type', { json: { type: 'nonsense' } }, 'structured_outputs.json'],
    ['no choices', { choice: [] }, 'structured_outputs.choice'],
    ['two at once', { choice: ['a'], regex: 'a' }, 'structured_outputs'],
  ])('%s', async (_, structured_outputs, param) => {
    const { status, json } = await client.post(ROUTE, { ...greedy, structured_outputs })
    expect(status).toBe(400)
    expect(json.error.param).toStartWith(param)
  })
})

test('request_id names the reply', async () => {
  const reply = await client.ask(ROUTE, { ...greedy, request_id: 'my-id.7' })
  expect(reply.id).toBe('cmpl-my-id.7')
})

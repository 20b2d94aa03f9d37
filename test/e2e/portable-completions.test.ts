// Cases of the llama.cpp and vLLM suites that hold for any server, told anew: /v1/completions.
// Elsewhere: the openai library (clients-openai), bodies that are no object and single bad fields
// (errors), cancelling (clients-openai-overload), shutdown (command, drain), roles, last chunks and
// ids of streams (helpers/stream-rules, on every stream of these tests). Saved states and metrics
// are not there yet.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { RawClient, textsOf } from '../helpers/raw-client.ts'
import { type ServerProcess, startServer } from '../helpers/server.ts'
import type { Json } from '../http/test-app.ts'

setDefaultTimeout(60_000)

const ROUTE = '/v1/completions'
const PROMPT = 'Once upon a time'
const PROMPT_IDS = [1, 3915, 779, 361, 720]
const greedy = { prompt: PROMPT, max_tokens: 10, temperature: 0 }

let server: ServerProcess
let client: RawClient

beforeAll(async () => {
  server = await startServer()
  client = new RawClient(server.url)
})

afterAll(() => server?.[Symbol.asyncDispose]())

const complete = (body: object): Promise<Json> => client.ask(ROUTE, { ...greedy, ...body })

async function textOf(body: object): Promise<string> {
  return (await complete(body)).choices[0].text
}

describe('logprobs', () => {
  test('none unless asked for', async () => {
    expect((await complete({})).choices[0].logprobs).toBeNull()
  })

  test.each([0, 1, 5])('%p: four lists, whose tokens are the text', async (count) => {
    const { choices } = await complete({ logprobs: count })
    const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0].logprobs
    expect(tokens).toHaveLength(10)
    expect(tokens.join('')).toBe(choices[0].text)
    let offset = 0
    for (const [index, token] of tokens.entries()) {
      expect(text_offset[index]).toBe(offset)
      offset += token.length
      expect(token_logprobs[index]).toBeLessThanOrEqual(0)
      const top = top_logprobs[index]
      expect(top[token]).toBe(token_logprobs[index])
      // Greedy decoding takes the best token, so it is among as many as were asked for.
      expect(Object.keys(top)).toHaveLength(Math.max(1, count))
      expect(Math.max(...(Object.values(top) as number[]))).toBe(token_logprobs[index])
    }
  })

  test('a sampled token is listed beside the best ones', async () => {
    const { choices } = await complete({ logprobs: 1, temperature: 2, seed: 3, max_tokens: 40 })
    const { tokens, top_logprobs } = choices[0].logprobs
    const sizes = top_logprobs.map((top: object) => Object.keys(top).length)
    expect(tokens.every((token: string, i: number) => token in top_logprobs[i])).toBe(true)
    expect(Math.max(...sizes)).toBe(2)
  })

  test('in a stream they come with their text', async () => {
    const whole = (await complete({ logprobs: 2 })).choices[0]
    const events = await client.stream(ROUTE, { ...greedy, logprobs: 2 })
    const parts = events.map(({ choices }) => choices[0])
    expect(textsOf(events)).toEqual([whole.text])
    for (const list of ['tokens', 'token_logprobs', 'top_logprobs', 'text_offset']) {
      expect(parts.flatMap(({ logprobs }) => logprobs?.[list] ?? [])).toEqual(whole.logprobs[list])
    }
    for (const { text, logprobs } of parts) {
      if (text !== '') expect(logprobs.tokens.join('')).toContain(text.trim())
    }
  })

  test('return_tokens_as_token_ids', async () => {
    const { choices } = await complete({
      ...{ logprobs: 1, return_tokens_as_token_ids: true, return_token_ids: true },
    })
    const { tokens, top_logprobs } = choices[0].logprobs
    expect(tokens).toEqual(choices[0].token_ids.map((id: number) => `token_id:${id}`))
    expect(Object.keys(top_logprobs[0])).toEqual([tokens[0]])
    expect(choices[0].prompt_token_ids).toEqual(PROMPT_IDS)
  })

  test('more than the server gives, or less than none', async () => {
    for (const logprobs of [21, -1, 1.5]) {
      const { status, json } = await client.post(ROUTE, { ...greedy, logprobs })
      expect([status, json.error.param]).toEqual([400, 'logprobs'])
    }
  })
})

describe('echo', () => {
  test.each<[string, string | number[]]>([
    ['text', PROMPT],
    ['token ids', PROMPT_IDS],
  ])('%s with logprobs', async (_, prompt) => {
    const { choices } = await complete({ prompt, echo: true, logprobs: 1, max_tokens: 3 })
    const { text, logprobs } = choices[0]
    expect(text).toStartWith(PROMPT)
    expect(logprobs.tokens).toHaveLength(PROMPT_IDS.length + 3)
    expect(logprobs.token_logprobs[0]).toBeNull()
    expect(logprobs.top_logprobs[0]).toBeNull()
    expect(logprobs.token_logprobs.slice(1).every((each: number) => each <= 0)).toBe(true)
    // From its offset on the text goes on with the token; the first word lost its space.
    for (const [index, token] of logprobs.tokens.entries()) {
      if (index < 2) expect(logprobs.text_offset[index]).toBe(0)
      else expect(text.slice(logprobs.text_offset[index])).toStartWith(token)
    }
  })

  test('without a token to generate it scores the prompt', async () => {
    const { choices, usage } = await complete({ echo: true, logprobs: 0, max_tokens: 0 })
    expect(choices[0]).toMatchObject({ text: PROMPT, finish_reason: 'length' })
    expect(choices[0].logprobs.tokens).toHaveLength(PROMPT_IDS.length)
    expect(usage).toMatchObject({ prompt_tokens: PROMPT_IDS.length, completion_tokens: 0 })
    const longer = await complete({ echo: true, logprobs: 0, max_tokens: 4 })
    const scores = longer.choices[0].logprobs.token_logprobs
    expect(scores.slice(0, PROMPT_IDS.length)).toEqual(choices[0].logprobs.token_logprobs)
  })

  test('streamed it is the beginning of the text', async () => {
    const body = { ...greedy, echo: true, logprobs: 1, n: 2 }
    const { choices } = await client.ask(ROUTE, body)
    const events = await client.stream(ROUTE, body)
    expect(textsOf(events)).toEqual(choices.map(({ text }: Json) => text))
    const names = events
      .flatMap((event) => event.choices)
      .filter(({ index }) => index === 1)
      .flatMap(({ logprobs }) => logprobs?.tokens ?? [])
    expect(names).toEqual(choices[1].logprobs.tokens)
  })

  test('prompt_logprobs', async () => {
    const { choices } = await complete({ prompt_logprobs: 2, echo: true, logprobs: 0 })
    const scores: Json[] = choices[0].prompt_logprobs
    expect(scores).toHaveLength(PROMPT_IDS.length)
    expect(scores[0]).toBeNull()
    for (const [index, id] of PROMPT_IDS.slice(1).entries()) {
      const { logprob } = scores[index + 1][id]
      expect(logprob).toBe(choices[0].logprobs.token_logprobs[index + 1])
      expect(Object.keys(scores[index + 1]).length).toBeGreaterThanOrEqual(2)
    }
    for (const bad of [{ prompt_logprobs: -2 }, { prompt_logprobs: 1, stream: true }]) {
      const { status, json } = await client.post(ROUTE, { ...greedy, ...bad })
      expect([status, json.error.param]).toEqual([400, 'prompt_logprobs'])
    }
  })
})

describe('prompts', () => {
  test('as text, token ids and batches of both agree', async () => {
    const text = await textOf({})
    expect(await textOf({ prompt: PROMPT_IDS })).toBe(text)
    for (const prompt of [
      [PROMPT, PROMPT],
      [PROMPT_IDS, PROMPT_IDS],
    ]) {
      const { choices, usage } = await complete({ prompt })
      expect(choices.map((choice: Json) => choice.text)).toEqual([text, text])
      expect(usage.prompt_tokens).toBe(2 * PROMPT_IDS.length)
    }
  })

  test('a batch is answered prompt by prompt, streamed or not', async () => {
    const prompt = [PROMPT, 'The king said', 'A little dog']
    const alone = await Promise.all(prompt.map((each) => textOf({ prompt: each })))
    const body = { ...greedy, prompt, n: 2, seed: 1 }
    const { choices } = await client.ask(ROUTE, body)
    const texts = choices.map(({ text }: Json) => text)
    expect(texts).toEqual(alone.flatMap((text) => [text, text]))
    expect(textsOf(await client.stream(ROUTE, body))).toEqual(texts)
  })

  test('add_special_tokens and truncate_prompt_tokens', async () => {
    const ids = async (body: object) =>
      (await complete({ return_token_ids: true, max_tokens: 1, ...body })).choices[0]
        .prompt_token_ids
    expect(await ids({ add_special_tokens: false })).toEqual(PROMPT_IDS.slice(1))
    // Of a text the beginning-of-sequence token stays, as with Hugging Face's tokenizers.
    expect(await ids({ truncate_prompt_tokens: 2 })).toEqual([1, 720])
    expect(await ids({ truncate_prompt_tokens: 2, prompt: PROMPT_IDS })).toEqual([361, 720])
    expect(await ids({ truncate_prompt_tokens: 100 })).toEqual(PROMPT_IDS)
  })
})

describe('usage in streams', () => {
  test('not unless asked for', async () => {
    const events = await client.stream(ROUTE, greedy)
    expect(events.every((event) => !('usage' in event) && event.choices.length === 1)).toBe(true)
  })

  test('include_usage: null until the end', async () => {
    const options = { stream_options: { include_usage: true } }
    const events = await client.stream(ROUTE, { ...greedy, ...options })
    const { usage } = await complete({})
    const { prompt_tokens, completion_tokens, total_tokens } = usage
    expect(events.at(-1)).toMatchObject({
      choices: [],
      usage: { prompt_tokens, completion_tokens, total_tokens },
    })
    expect(events.slice(0, -1).every((event) => event.usage === null)).toBe(true)
  })

  test('continuous_usage_stats: in every chunk', async () => {
    const options = { stream_options: { include_usage: true, continuous_usage_stats: true } }
    const events = await client.stream(ROUTE, { ...greedy, ...options })
    let before = 0
    for (const { usage } of events) {
      expect(usage.prompt_tokens).toBe(PROMPT_IDS.length)
      expect(usage.completion_tokens).toBeGreaterThanOrEqual(before)
      expect(usage.total_tokens).toBe(usage.prompt_tokens + usage.completion_tokens)
      before = usage.completion_tokens
    }
    expect(before).toBe(10)
    expect(events[0].usage.completion_tokens).toBeLessThan(10)
  })

  test('stream_options without a stream', async () => {
    for (const stream_options of [{ include_usage: true }, { include_usage: false }, {}]) {
      const { status, json } = await client.post(ROUTE, { ...greedy, stream_options })
      expect([status, json.error.param]).toEqual([400, 'stream_options'])
    }
  })
})

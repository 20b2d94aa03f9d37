// POST /v1/responses over a fake engine: replies, streams, conversations that go on.

import { describe, expect, test } from 'bun:test'
import { ApiError } from '../../src/errors.ts'
import { ANSWER, END, eventsOf, responsesApp, TOOL, TURN } from './responses-app.ts'
import type { Json } from './test-app.ts'

describe('a reply', () => {
  test('has every key of the API', async () => {
    const { reply } = responsesApp()
    const response = await reply({ temperature: 0.5, metadata: { a: 'b' }, max_output_tokens: 9 })
    expect(response).toEqual({
      id: expect.stringMatching(/^resp_[0-9a-f]{32}$/),
      object: 'response',
      created_at: expect.any(Number),
      completed_at: expect.any(Number),
      status: 'completed',
      background: false,
      error: null,
      incomplete_details: null,
      instructions: null,
      max_output_tokens: 9,
      model: 'tales',
      output: [
        {
          id: expect.stringMatching(/^msg_/),
          type: 'message',
          status: 'completed',
          role: 'assistant',
          content: [
            { type: 'output_text', text: 'Once upon a time', annotations: [], logprobs: [] },
          ],
        },
      ],
      parallel_tool_calls: true,
      previous_response_id: null,
      prompt_cache_key: null,
      reasoning: { effort: null, summary: null },
      service_tier: 'default',
      store: true,
      temperature: 0.5,
      text: { format: { type: 'text' } },
      tool_choice: 'auto',
      tools: [],
      top_logprobs: 0,
      top_p: 1,
      truncation: 'disabled',
      usage: {
        input_tokens: `<s>${TURN}Hi${END}${ANSWER}`.length,
        input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
        output_tokens: 4,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: `<s>${TURN}Hi${END}${ANSWER}`.length + 4,
      },
      metadata: { a: 'b' },
    })
  })

  test('that the limit cuts is incomplete', async () => {
    const { reply } = responsesApp()
    const response = await reply({ max_output_tokens: 2 })
    expect(response).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      completed_at: null,
      output: [{ status: 'incomplete', content: [{ text: 'Once upon' }] }],
    })
  })

  test('without text is a message without text', async () => {
    const { reply } = responsesApp({ words: [] })
    expect((await reply({})).output).toMatchObject([{ type: 'message', content: [{ text: '' }] }])
  })

  test('has log-probabilities if asked for', async () => {
    const { engine, reply } = responsesApp({ words: ['Hm'] })
    const include = ['message.output_text.logprobs']
    const [{ content }] = (await reply({ include })).output
    expect(content[0].logprobs).toEqual([
      { token: '\u0007', logprob: -1, bytes: [7], top_logprobs: [] },
    ])
    await reply({ top_logprobs: 3 })
    expect(engine.requests.map(({ logprobs }) => logprobs)).toEqual([0, 3])
  })
})

describe('the prompt', () => {
  test('is instructions, then input', async () => {
    const { prompts, reply } = responsesApp()
    await reply({ instructions: 'Be kind.', input: [{ role: 'user', content: 'Hi' }] })
    const system = `<|im_start|>system\nBe kind.${END}`
    expect(prompts()[0]).toBe(`<s>${system}${TURN}Hi${END}${ANSWER}`)
  })

  test('goes on from a stored response, without its instructions', async () => {
    const { engine, prompts, reply } = responsesApp({ words: ['Well', ' met'] })
    const first = await reply({ instructions: 'Be kind.' })
    const second = await reply({ input: 'And now?', previous_response_id: first.id })
    expect(second.previous_response_id).toBe(first.id)
    const said = `<s>${TURN}Hi${END}${ANSWER}Well met${END}${TURN}And now?${END}${ANSWER}`
    expect(prompts()[1]).toBe(said)
    // The prompts differ from their beginnings on: nothing of the first is of use.
    expect(engine.requests[1].cacheBreakpoints).toEqual([said.length])
  })

  test('keeps the states at the ends of all prompts that it goes on from', async () => {
    const { engine, reply } = responsesApp({ words: ['Well', ' met'] })
    let previous: Json = await reply({})
    for (const input of ['B', 'C'])
      previous = await reply({ input, previous_response_id: previous.id })
    const lengths = engine.requests.map(({ prompt }) => prompt.length)
    expect(engine.requests.map(({ cacheBreakpoints }) => cacheBreakpoints)).toEqual([
      [lengths[0]],
      [lengths[0], lengths[1]],
      lengths,
    ])
  })

  test('may branch off a response twice', async () => {
    const { prompts, reply } = responsesApp({ words: ['Yes'] })
    const { id } = await reply({})
    for (const input of ['B', 'C']) await reply({ input, previous_response_id: id })
    expect(prompts()[2]).toBe(prompts()[1].replace(`${TURN}B`, `${TURN}C`))
  })

  test('drops the oldest turns to fit if asked to', async () => {
    const { prompts, reply } = responsesApp({ model: { maxModelLen: 120 } })
    const input = ['One', 'Two', 'Three', 'Four'].map((content) => ({ role: 'user', content }))
    await reply({ instructions: 'Sh.', input, truncation: 'auto' })
    const system = `<|im_start|>system\nSh.${END}`
    expect(prompts()[0]).toBe(`<s>${system}${TURN}Four${END}${ANSWER}`)
  })
})

describe('stored responses', () => {
  test('can be fetched, listed and deleted', async () => {
    const { app, reply, refusal } = responsesApp()
    const response = await reply({})
    const path = `/v1/responses/${response.id}`
    const get = async (url: string): Promise<Json> => (await app.request(url)).json()
    expect(await get(path)).toEqual(response)
    expect(await get(`${path}/input_items`)).toMatchObject({
      object: 'list',
      data: [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hi' }] }],
      has_more: false,
    })
    const deleted = await app.request(path, { method: 'DELETE' })
    expect(await deleted.json()).toEqual({ id: response.id, object: 'response', deleted: true })
    const gone = await app.request(path)
    expect(gone.status).toBe(404)
    expect(((await gone.json()) as Json).error.code).toBe('response_not_found')
    expect((await app.request(path, { method: 'DELETE' })).status).toBe(404)
    expect(await refusal({ previous_response_id: response.id })).toMatchObject({
      ...{ status: 404, param: 'previous_response_id', code: 'previous_response_not_found' },
    })
  })

  test('are only those that may be', async () => {
    const { app, engine, reply } = responsesApp()
    const { id } = await reply({ store: false })
    expect((await app.request(`/v1/responses/${id}`)).status).toBe(404)
    expect(engine.requests[0].cacheBreakpoints).toEqual([])
  })

  test('are as many as the limit says', async () => {
    const { app, reply } = responsesApp({ limits: { maxStoredResponses: 1 } })
    const { id } = await reply({})
    await reply({})
    expect((await app.request(`/v1/responses/${id}`)).status).toBe(404)
  })
})

describe('a stream', () => {
  test('builds the reply step by step', async () => {
    const { app, respond } = responsesApp({ words: ['Once', ' upon'] })
    const response = await respond({ stream: true, stream_options: { include_obfuscation: false } })
    expect(response.headers.get('content-type')).toStartWith('text/event-stream')
    const events = await eventsOf(response)
    expect(events.map(({ type }) => type.replace('response.', ''))).toEqual([
      ...['created', 'in_progress', 'output_item.added', 'content_part.added'],
      ...['output_text.delta', 'output_text.delta', 'output_text.done', 'content_part.done'],
      ...['output_item.done', 'completed'],
    ])
    expect(events.map((event) => event.sequence_number)).toEqual([...events.keys()])
    const [created, , added, part, delta] = events
    expect(created.response).toMatchObject({ status: 'in_progress', output: [], usage: null })
    expect(added).toMatchObject({ output_index: 0, item: { status: 'in_progress', content: [] } })
    expect(part).toMatchObject({ content_index: 0, part: { type: 'output_text', text: '' } })
    expect(delta).toMatchObject({ item_id: added.item.id, delta: 'Once', logprobs: [] })
    const done = events.at(-1).response
    expect(done.output[0].content[0].text).toBe('Once upon')
    expect(events.at(-2).item).toEqual(done.output[0])
    const stored = await app.request(`/v1/responses/${created.response.id}`)
    expect(await stored.json()).toEqual(done)
  })

  test('that fails says so in two events', async () => {
    const { engine, respond } = responsesApp({ words: 'manual' })
    const response = await respond({ stream: true })
    const [generation] = await engine.submitted(1)
    generation.emit('Once')
    generation.fail(new Error('secret detail'))
    const events = await eventsOf(response)
    const [failed, error] = events.slice(-2)
    expect(failed).toMatchObject({
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'server_error' } },
    })
    expect(error).toMatchObject({ type: 'error', code: 'internal_error', param: null })
    expect(JSON.stringify(events)).not.toContain('secret')
  })

  test('that fails by its request says so, too', async () => {
    const { engine, respond } = responsesApp({ words: 'manual' })
    const response = await respond({ stream: true })
    const [generation] = await engine.submitted(1)
    generation.fail(new ApiError(400, 'no token is allowed'))
    const [failed, error] = (await eventsOf(response)).slice(-2)
    expect(failed.response.error).toEqual({
      code: 'invalid_prompt',
      message: 'no token is allowed',
    })
    expect(error).toMatchObject({ type: 'error', message: 'no token is allowed' })
  })

  test('whose reader leaves frees the slot', async () => {
    const { engine, respond } = responsesApp({ words: 'manual' })
    const response = await respond({ stream: true })
    const [generation] = await engine.submitted(1)
    await response.body!.cancel()
    await generation.aborted
    expect(generation.isAborted).toBe(true)
  })
})

describe('tools', () => {
  const CALL = '<tool_call>{"name": "time", "arguments": {"zone": "CET"}}</tool_call>'

  test('are shown, and calls are items beside the text', async () => {
    const { prompts, reply } = responsesApp({ words: ['Let me see.', CALL] })
    const response = await reply({ tools: [TOOL] })
    expect(prompts()[0]).toContain('"name": "time"')
    expect(response.output).toMatchObject([
      { type: 'message', content: [{ text: 'Let me see.' }] },
      {
        ...{ type: 'function_call', name: 'time', status: 'completed' },
        arguments: '{"zone":"CET"}',
        call_id: expect.stringMatching(/^call_/),
      },
    ])
    expect(response.tools).toEqual([TOOL])
  })

  test('get their results in the next request', async () => {
    const { prompts, reply } = responsesApp({ words: [CALL] })
    const first = await reply({ tools: [TOOL] })
    const [{ call_id }] = first.output
    const input = [{ type: 'function_call_output', call_id, output: '12:00' }]
    await reply({ input, tools: [TOOL], previous_response_id: first.id })
    expect(prompts()[1].slice(prompts()[0].length)).toContain('<tool_response>\n12:00')
    expect(prompts()[1]).toStartWith(prompts()[0])
  })

  test('in a stream come whole', async () => {
    const { respond } = responsesApp({ words: [CALL] })
    const events = await eventsOf(await respond({ tools: [TOOL], stream: true }))
    const calls = events.filter(({ type }) => type.includes('function_call_arguments'))
    expect(calls.map((event) => event.delta ?? event.arguments)).toEqual([
      '{"zone":"CET"}',
      '{"zone":"CET"}',
    ])
    expect(events.at(-1).response.output).toHaveLength(1)
  })

  test.each([
    ['required', 'array'],
    [{ type: 'function', name: 'time' }, 'object'],
    [
      { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'time' }] },
      'array',
    ],
  ])('tool_choice %j forces calls', async (tool_choice, type) => {
    const { grammars, respond } = responsesApp()
    expect((await respond({ tools: [TOOL], tool_choice })).status).toBe(200)
    expect(grammars.compiled[0].spec).toMatchObject({ kind: 'json_schema', schema: { type } })
  })
})

describe('refused', () => {
  test.each<[object, string, string]>([
    [{ input: null }, 'input', 'input is required'],
    [{ input: [] }, 'input', 'no messages'],
    [{ input: 5 }, 'input', 'a string or a list of items'],
    [{ input: [{ role: 'user', content: 5 }] }, 'input.0.content', 'found 5'],
    [{ instructions: 5 }, 'instructions', 'a string'],
    [{ max_output_tokens: 0 }, 'max_output_tokens', 'from 1'],
    [{ min_tokens: 5, max_output_tokens: 4 }, 'min_tokens', 'which is 4'],
    [{ background: true }, 'background', 'not supported'],
    [{ conversation: 'conv_1' }, 'conversation', 'use previous_response_id'],
    [{ prompt: { id: 'pmpt_1' } }, 'prompt', 'a field of /v1/completions'],
    [{ n: 2 }, 'n', 'n is not supported'],
    [{ truncation: 'some' }, 'truncation', 'auto or disabled'],
    [{ top_logprobs: 21 }, 'top_logprobs', 'from 0 to 20'],
    [{ metadata: { a: 5 } }, 'metadata.a', 'at most 16 strings'],
    [{ text: { format: { type: 'xml' } } }, 'text.format.type', 'found "xml"'],
    [{ text: { format: { type: 'json_schema' } } }, 'text.format.schema', 'a JSON schema'],
    [{ tools: [{ type: 'web_search' }] }, 'tools.0.type', 'the only type'],
    [{ tools: [{ ...TOOL, name: 'a b' }] }, 'tools.0.name', 'letters, digits'],
    [{ tool_choice: 'required' }, 'tool_choice', 'no tools'],
    [
      { tools: [TOOL], text: { format: { type: 'json_object' } } },
      'text.format',
      'exclude each other',
    ],
  ])('%j', async (body, param, words) => {
    const { engine, refusal } = responsesApp()
    const error = await refusal(body)
    expect(error).toMatchObject({ status: 400, param })
    expect(error.message).toContain(words)
    expect(engine.generations).toEqual([])
  })

  test('without a template', async () => {
    const { refusal } = responsesApp({ chatTemplate: undefined })
    expect(await refusal({})).toMatchObject({ status: 400, code: 'chat_template_missing' })
  })
})

test('text.format compiles to a grammar', async () => {
  const { grammars, reply } = responsesApp()
  const schema = { type: 'object', properties: {} }
  const format = { type: 'json_schema', name: 'x', schema, strict: true }
  const response = await reply({ text: { format } })
  expect(response.text).toEqual({ format })
  expect(grammars.compiled).toEqual([
    { spec: { kind: 'json_schema', schema }, param: 'text.format.schema' },
  ])
})

test('input_tokens counts without generating', async () => {
  const { engine, post } = responsesApp()
  const response = await post({ input: 'Hi' }, {}, '/v1/responses/input_tokens')
  expect(await response.json()).toEqual({
    object: 'response.input_tokens',
    input_tokens: `<s>${TURN}Hi${END}${ANSWER}`.length,
  })
  expect(engine.generations).toEqual([])
})

// Answers with calls: as items, sent back, and gone on from; and where errors say things are.

import { describe, expect, test } from 'bun:test'
import { assistant, templateOf, user } from './chat-app.ts'
import { eventsOf, responsesApp, TOOL } from './responses-app.ts'
import type { Json } from './test-app.ts'

const CALL = '<tool_call>{"name":"time","arguments":{"zone":"CET"}}</tool_call>'
const SECOND = '<tool_call>{"name":"time","arguments":{}}</tool_call>'

describe('an answer sent back makes the same prompt as previous_response_id', () => {
  test.each<[string, string[]]>([
    ['a text', ['Noon', '.']],
    ['no text', []],
    ['a call', [CALL]],
    ['a text and a call', ['Let me', ' see.', CALL]],
    ['calls and text between them', ['Let me see.', CALL, 'And', SECOND, 'Done.']],
  ])('%s', async (_, words) => {
    const { prompts, reply } = responsesApp({ words })
    const first = await reply({ tools: [TOOL] })
    const calls = first.output.filter(({ type }: Json) => type === 'function_call')
    const results = calls.map(({ call_id }: Json) => ({
      ...{ type: 'function_call_output', call_id, output: '12:00' },
    }))
    const next = [...results, user('And now?')]
    await reply({ tools: [TOOL], input: next, previous_response_id: first.id })
    await reply({ tools: [TOOL], input: [user('Hi'), ...first.output, ...next] })
    const [, continued, replayed] = prompts()
    expect(replayed).toBe(continued)
    expect(continued.match(/<\|im_start\|>assistant/g)).toHaveLength(2)
    for (const word of words.filter((each) => !each.startsWith('<'))) {
      expect(continued).toContain(word)
    }
  })
})

describe('a call without text', () => {
  const pieces = ['<tool_call>', '{"name":"time","arguments":{}}', '</tool_call>']

  test('is the only item, also with log-probabilities', async () => {
    const { reply, respond } = responsesApp({ words: pieces })
    const body = { tools: [TOOL], include: ['message.output_text.logprobs'] }
    expect((await reply(body)).output).toMatchObject([{ type: 'function_call' }])
    const events = await eventsOf(await respond({ ...body, stream: true }))
    expect(events.some(({ type }) => type.includes('output_text'))).toBe(false)
  })

  test('leaves the log-probabilities of the text before it alone', async () => {
    const { reply } = responsesApp({ words: ['Hm', ...pieces] })
    const include = ['message.output_text.logprobs']
    const [message] = (await reply({ tools: [TOOL], include })).output
    expect(message.content[0]).toMatchObject({ text: 'Hm', logprobs: [{ logprob: -1 }] })
    expect(message.content[0].logprobs).toHaveLength(1)
  })
})

describe('errors name the fields of this API', () => {
  const strict = templateOf('chat-templates/inst.jinja')
  const call = { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' }
  const many = <Value>(count: number, value: Value) => Array.from({ length: count }, () => value)

  test.each<[string, object, string]>([
    ['half a character', { input: '\ud800' }, 'input'],
    ['half a character in a message', { input: [user('\ud800')] }, 'input.0.content'],
    ['half a character in instructions', { instructions: '\ud800' }, 'instructions'],
    ['a name that is taken', { tools: [TOOL, TOOL] }, 'tools.1.name'],
    ['a long id', { input: [{ ...user('x'), id: 'x'.repeat(257) }] }, 'input.0.id'],
    ['an id of another type', { input: [{ ...user('x'), id: 5 }] }, 'input.0.id'],
    [
      'an id that is taken',
      { input: [user('x'), { ...user('x'), id: 'a' }, { ...user('x'), id: 'a' }] },
      'input.2.id',
    ],
    ['a long call_id', { input: [{ ...call, call_id: 'x'.repeat(257) }] }, 'input.0.call_id'],
    ['a long name', { input: [{ ...call, name: 'x'.repeat(257) }] }, 'input.0.name'],
    ['too many parts', { input: [user(many(1025, { type: 'input_text', text: '' }))] }, 'input.0.content'],
    ['too many of include', { include: many(17, 'x') }, 'include'],
    ['too much metadata', { metadata: Object.fromEntries(many(17, 0).map((_, i) => [i, 'x'])) }, 'metadata'],
    ['a verbosity', { text: { verbosity: 'much' } }, 'text.verbosity'],
  ])('%s', async (_, body, param) => {
    const { engine, refusal } = responsesApp()
    const { status, param: found } = await refusal(body)
    expect({ status, param: found }).toEqual({ status: 400, param })
    expect(engine.generations).toEqual([])
  }) // biome-ignore format: a table

  test('what the template refuses, and a template that is absent', async () => {
    const { refusal } = responsesApp({ chatTemplate: strict })
    const error = await refusal({ input: [assistant('x')] })
    expect(error).toMatchObject({ status: 400, param: 'input' })
    expect(error.message).toContain('Turns must alternate')
    const bare = responsesApp({ chatTemplate: undefined })
    expect(await bare.refusal({})).toMatchObject({ param: 'input', code: 'chat_template_missing' })
  })

  test('lists that are far too long are refused at once', async () => {
    const { respond } = responsesApp()
    const started = performance.now()
    const metadata = Object.fromEntries(many(200_000, 0).map((_, i) => [`k${i}`, 1]))
    for (const body of [{ include: many(1_000_000, 1) }, { metadata }]) {
      expect((await respond(body)).status).toBe(400)
    }
    expect(performance.now() - started).toBeLessThan(3000)
  })

  test('a model that is not served, where tokens are counted', async () => {
    const { post } = responsesApp()
    const body = { input: 'Hi', model: 'other' }
    expect((await post(body, {}, '/v1/responses/input_tokens')).status).toBe(404)
  })
})

test('members of tools that are null are not shown to the model', async () => {
  const { prompts, reply } = responsesApp()
  const { name, type } = TOOL
  await reply({ tools: [{ type, name }] })
  await reply({ tools: [{ type, name, description: null, parameters: null, strict: null }] })
  expect(prompts()[1]).toBe(prompts()[0])
  expect(prompts()[0]).toContain('{"type": "function", "function": {"name": "time"}}')
})

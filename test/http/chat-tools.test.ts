// Tools in requests and calls in replies.

import { describe, expect, test } from 'bun:test'
import { assistant, chatApp, tool, user } from './chat-app.ts'
import type { Json } from './test-app.ts'

const call = (name: string, more = '') =>
  `<tool_call>{"name":"${name}","arguments":{${more}}}</tool_call>`

describe('replies', () => {
  const tools = [tool('time', { type: 'object' }), tool('date')]

  test('a call', async () => {
    const { reply, engine } = chatApp({ words: ['Well.\n', call('time', '"a":1')] })
    const [choice] = (await reply({ tools })).choices
    expect(choice).toMatchObject({
      message: {
        content: 'Well.',
        tool_calls: [
          {
            id: expect.stringMatching(/^call_[0-9a-f]{24}$/),
            type: 'function',
            function: { name: 'time', arguments: '{"a":1}' },
          },
        ],
      },
      finish_reason: 'tool_calls',
    })
    expect(engine.requests[0]).toMatchObject({ guide: undefined, skipSpecialTokens: true })
  })

  test('calls and nothing else have no content, and ids differ', async () => {
    const { reply } = chatApp({ words: [call('time'), call('date')] })
    const { message } = (await reply({ tools })).choices[0]
    expect(message.content).toBeNull()
    expect(new Set(message.tool_calls.map(({ id }: Json) => id)).size).toBe(2)
  })

  test('an answer without a call', async () => {
    const { reply } = chatApp({ words: ['Noon.'] })
    const [choice] = (await reply({ tools, tool_choice: 'auto' })).choices
    expect(choice).toMatchObject({ message: { content: 'Noon.' }, finish_reason: 'stop' })
    expect(choice.message).not.toContainKey('tool_calls')
  })

  test("Mistral's way, with what ended the answer behind the calls", async () => {
    const words = ['[TOOL_CALLS]', ' [{"name":"time","arguments":{}}]', '</s>']
    const { reply } = chatApp({ words, template: 'chat-templates/tool-calls.jinja' })
    const [choice] = (await reply({ tools, include_stop_str_in_output: true })).choices
    expect(choice).toMatchObject({ message: { content: '</s>' }, finish_reason: 'tool_calls' })
    expect(choice.message.tool_calls).toHaveLength(1)
  })

  test('members of functions that are null are not shown', async () => {
    const { prompt } = chatApp()
    const shown = (more: object) =>
      prompt({ tools: [{ type: 'function', function: { name: 'time', ...more } }] })
    expect(await shown({ description: null, parameters: null, strict: null })).toBe(await shown({}))
  })

  test('length stays length', async () => {
    const { reply } = chatApp({ words: [call('time'), ' ', ' '] })
    const [choice] = (await reply({ tools, max_tokens: 2 })).choices
    expect(choice).toMatchObject({ finish_reason: 'length', message: { content: null } })
  })

  test.each<[string, object, number]>([
    ['both', {}, 2],
    ['one at a time', { parallel_tool_calls: false }, 1],
    ['none', { tool_choice: 'none' }, 0],
    [
      'only what is allowed',
      {
        tool_choice: {
          type: 'allowed_tools',
          allowed_tools: { mode: 'auto', tools: [tool('date')] },
        },
      },
      1,
    ],
  ])('calls of two functions: %s', async (_, more, count) => {
    const { reply, prompt } = chatApp({ words: [call('time') + call('date')] })
    const { message } = (await reply({ tools, ...more })).choices[0]
    expect(message.tool_calls?.length ?? 0).toBe(count)
    // The model sees all of them all the same.
    expect(await prompt({ tools, ...more })).toContain('"name": "time"')
  })

  test('a stream holds back what may be a call', async () => {
    const words = [
      'Let me',
      ' see.',
      ' <tool',
      '_call>{"name":',
      ' "time"}',
      '</tool_call>',
      call('date'),
    ]
    const { events } = chatApp({ words })
    const chunks = (await events({ tools, logprobs: true })).slice(0, -1)
    const function_ = (name: string) => ({ type: 'function', function: { name, arguments: '{}' } })
    expect(chunks.map(({ choices: [{ delta }] }) => delta)).toEqual([
      { role: 'assistant', content: '' },
      { content: 'Let me' },
      { content: ' see.' },
      { tool_calls: [{ index: 0, id: expect.stringMatching(/^call_/), ...function_('time') }] },
      { tool_calls: [{ index: 1, id: expect.stringMatching(/^call_/), ...function_('date') }] },
      {},
    ])
    expect(chunks.map(({ choices: [{ logprobs }] }) => logprobs?.content.length)).toEqual([
      ...[undefined, 1, 1, 4, 1, undefined],
    ])
    expect(chunks.at(-1).choices[0].finish_reason).toBe('tool_calls')
  })

  test("Mistral's way: special tokens are shown, ids have nine characters", async () => {
    const words = ['[TOOL_CALLS]', ' [{"name":"time","arguments":{}}]']
    const app = chatApp({ words, template: 'chat-templates/tool-calls.jinja' })
    const { message } = (await app.reply({ tools })).choices[0]
    expect(message.tool_calls[0].id).toMatch(/^[0-9a-z]{9}$/)
    expect(app.engine.requests[0].skipSpecialTokens).toBe(false)
    const messages = [user('Hi'), message, { role: 'tool', tool_call_id: 'x', content: 'Noon' }]
    expect(await app.prompt({ messages, tools })).toContain('[TOOL_CALLS] [{"name": "time"')
    await app.reply({})
    expect(app.engine.requests.at(-1)?.skipSpecialTokens).toBe(true)
  })

  test('a conversation goes on with the reply as it came', async () => {
    const { reply, prompt } = chatApp({ words: [call('time', '"a":1')] })
    const { message } = (await reply({ tools })).choices[0]
    const answer = { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'Noon' }
    expect(await prompt({ messages: [user('Hi'), message, answer], tools })).toContain(
      '{"name": "time", "arguments": {"a": 1}}\n</tool_call><|im_end|>\n<|im_start|>user\n<tool_response>\nNoon',
    )
  })
})

describe('forced calls', () => {
  const node = {
    type: 'object',
    properties: { next: { $ref: '#' }, at: { $ref: '#/$defs/at' } },
    $defs: { at: { type: 'string' } },
  }
  const tools = [tool('time', node), tool('date')]
  const nodeMoved = {
    type: 'object',
    properties: { next: { $ref: '#/$defs/time' }, at: { $ref: '#/$defs/time/$defs/at' } },
    $defs: { at: { type: 'string' } },
  }
  const nothing = { type: 'object', properties: {}, additionalProperties: false }
  const oneCall = (name: string) => ({
    type: 'object',
    properties: { name: { const: name }, arguments: { $ref: `#/$defs/${name}` } },
    required: ['name', 'arguments'],
    additionalProperties: false,
  })
  const either = { anyOf: [oneCall('time'), oneCall('date')] }
  const allowed = (mode: string, ...names: string[]) => ({
    type: 'allowed_tools',
    allowed_tools: { mode, tools: names.map((name) => tool(name)) },
  })

  test.each<[string, object, object]>([
    [
      'required',
      { tool_choice: 'required' },
      {
        type: 'array',
        items: either,
        minItems: 1,
        maxItems: 16,
        $defs: { time: nodeMoved, date: nothing },
      },
    ],
    [
      'one of them',
      { tool_choice: 'required', parallel_tool_calls: false },
      { ...either, $defs: { time: nodeMoved, date: nothing } },
    ],
    ['named', { tool_choice: tool('date') }, { ...oneCall('date'), $defs: { date: nothing } }],
    [
      'one that is allowed',
      { tool_choice: allowed('required', 'date'), parallel_tool_calls: false },
      { ...oneCall('date'), $defs: { date: nothing } },
    ],
  ])('%s', async (_, more, schema) => {
    const { chat, grammars } = chatApp()
    await chat({ tools, ...more })
    expect(grammars.compiled).toEqual([{ spec: { kind: 'json_schema', schema }, param: 'tools' }])
  })

  test.each<[string, string, object, string, number]>([
    [
      'required',
      '[{"name":"time","arguments":{}},{"name":"date","arguments":{}}]',
      { tool_choice: 'required' },
      'tool_calls',
      2,
    ],
    [
      'one of them',
      '{"name":"date","arguments":{}}',
      { tool_choice: 'required', parallel_tool_calls: false },
      'tool_calls',
      1,
    ],
    // As OpenAI has it: the model chose nothing.
    ['named', '{"name":"date","arguments":{}}', { tool_choice: tool('date') }, 'stop', 1],
  ])('%s: the text is the calls', async (_, said, more, finishReason, count) => {
    const words = said.match(/.{1,7}/g) ?? []
    const { reply, events } = chatApp({ words })
    const [choice] = (await reply({ tools, ...more })).choices
    expect(choice).toMatchObject({ message: { content: null }, finish_reason: finishReason })
    expect(choice.message.tool_calls).toHaveLength(count)
    const chunks = (await events({ tools, ...more })).slice(0, -1)
    expect(chunks.map(({ choices: [{ delta }] }) => Object.keys(delta))).toEqual([
      ...[['role', 'content'], ['tool_calls'], []],
    ])
    expect(chunks.at(-1).choices[0].finish_reason).toBe(finishReason)
  })

  test('calls that break off are text', async () => {
    const { reply } = chatApp({ words: ['[{"name"', ':"date"'] })
    const [choice] = (await reply({ tools, tool_choice: 'required', max_tokens: 1 })).choices
    expect(choice).toMatchObject({ finish_reason: 'length', message: { content: '[{"name"' } })
  })

  test('references move, and values that look like them do not', async () => {
    const { chat, grammars } = chatApp({ words: ['{}'] })
    const value = { $ref: '#/x' }
    const keywords = { const: value, default: value, enum: [value], examples: [value] }
    const named = { type: 'object', properties: { enum: { $ref: '#' }, $ref: { ...keywords } } }
    await chat({ tools: [tool('time', named)], tool_choice: tool('time') })
    expect(grammars.compiled[0].spec).toMatchObject({
      schema: {
        $defs: {
          time: { ...named, properties: { enum: { $ref: '#/$defs/time' }, $ref: keywords } },
        },
      },
    })
  })

  test('a format goes with tools that are not to be called', async () => {
    const { chat, grammars } = chatApp({ words: ['{}'] })
    await chat({ tools, tool_choice: 'none', response_format: { type: 'json_object' } })
    expect(grammars.compiled).toMatchObject([{ spec: { kind: 'json_object' } }])
  })

  test('an earlier answer may hold calls without tools now', async () => {
    const { prompt } = chatApp()
    const calls = [{ id: 'a', type: 'function', function: { name: 'time', arguments: '{}' } }]
    const messages = [user('Hi'), assistant(null, { tool_calls: calls })]
    expect(await prompt({ messages })).toContain('<tool_call>\n{"name": "time", "arguments": {}}')
  })
})

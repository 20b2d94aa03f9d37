import { describe, expect, test } from 'bun:test'
import { assistant, characterTokenizer, chatApp, tool, user } from './chat-app.ts'

const text = (given: string, more: object = {}) => ({ type: 'text', text: given, ...more })
const call = (id: string, json: unknown = '{}') => ({
  ...{ id, type: 'function' },
  function: { name: 'time', arguments: json },
})

describe('messages become a prompt', () => {
  test.each<[string, object[], string]>([
    ['a string', [user('Hi')], '<|im_start|>user\nHi<|im_end|>\n'],
    ['parts', [user([text('One'), text(' two')])], '<|im_start|>user\nOne two<|im_end|>\n'],
    ['developer', [{ role: 'developer', content: 'Hi' }], '<|im_start|>system\nHi<|im_end|>\n'],
    [
      'a refusal',
      [assistant([{ type: 'refusal', refusal: 'No' }])],
      '<|im_start|>assistant\nNo<|im_end|>\n',
    ],
    [
      'a reply as it came',
      [assistant(null, { refusal: 'No', tool_calls: null, audio: null, annotations: [] })],
      '<|im_start|>assistant\nNo<|im_end|>\n',
    ],
    [
      'calls, whose arguments are objects for the template',
      [assistant(null, { tool_calls: [call('a', '{"zone":"CET"}'), call('b', 'oops')] })],
      '<|im_start|>assistant\n\n<tool_call>\n{"name": "time", "arguments": {"zone": "CET"}}\n' +
        '</tool_call>\n<tool_call>\n{"name": "time", "arguments": oops}\n</tool_call><|im_end|>\n',
    ],
    [
      'the result of a tool',
      [{ role: 'tool', tool_call_id: 'a', content: '12:00' }],
      '<|im_start|>user\n<tool_response>\n12:00\n</tool_response><|im_end|>\n',
    ],
  ])('%s', async (_, messages, expected) => {
    const { prompt } = chatApp()
    expect(await prompt({ messages })).toBe(`<s>${expected}<|im_start|>assistant\n`)
  })

  test('without the beginning of a turn, or going on with one', async () => {
    const { prompt } = chatApp()
    expect(await prompt({ add_generation_prompt: false })).toEndWith('Hi<|im_end|>\n')
    const messages = [user('Go'), assistant('Once upon')]
    expect(await prompt({ messages, continue_final_message: true })).toEndWith(
      '<|im_start|>assistant\nOnce upon',
    )
  })

  test('chat_template_kwargs and unknown members reach the template', async () => {
    const { prompt } = chatApp({ template: 'chat-templates/echo.jinja' })
    const messages = [{ ...user('Hi'), name: 'Ann', mood: { loud: true }, note: null }]
    expect(await prompt({ messages, chat_template_kwargs: { depth: 2 } })).toBe(
      '2 {"role": "user", "content": "Hi", "name": "Ann", "mood": {"loud": true}}',
    )
  })

  test('special tokens around it only if asked for', async () => {
    const { engine, chat } = chatApp({ tokenizer: {} })
    await chat({})
    await chat({ add_special_tokens: true })
    expect(engine.requests.map(({ prompt }) => prompt.indexOf(1))).toEqual([-1, 0])
  })

  test('a prompt that is too long is cut', async () => {
    const { prompt } = chatApp()
    expect(await prompt({ truncate_prompt_tokens: 5 })).toBe('tant\n')
    expect(await prompt({ truncate_prompt_tokens: 5, truncation_side: 'right' })).toBe('<s><|')
  })

  test('a prompt whose beginning is cut keeps its beginning-of-sequence token', async () => {
    const tokenizer = { ...characterTokenizer, bosTokenId: '<'.charCodeAt(0) }
    const { prompt } = chatApp({ tokenizer })
    expect(await prompt({ truncate_prompt_tokens: 5 })).toBe('<ant\n')
    const other = chatApp({ tokenizer: { ...tokenizer, bosTokenId: 1 } })
    expect(await other.prompt({ truncate_prompt_tokens: 5 })).toBe('tant\n')
  })
})

describe('what is refused', () => {
  const image = { type: 'image_url', image_url: { url: 'data:' } }

  test.each<[string, object, string]>([
    ['no messages', { messages: null }, 'messages'],
    ['an empty list', { messages: [] }, 'messages'],
    ['text', { messages: 'Hi' }, 'messages'],
    ['a number', { messages: [123] }, 'messages.0'],
    ['an empty message', { messages: [{}] }, 'messages.0.role'],
    ['a role', { messages: [user('a'), { role: 'robot', content: 'b' }] }, 'messages.1.role'],
    ['function', { messages: [{ role: 'function', name: 'f', content: '' }] }, 'messages.0.role'],
    ['no content', { messages: [{ role: 'user' }] }, 'messages.0.content'],
    ['null content', { messages: [user(null)] }, 'messages.0.content'],
    ['a number as content', { messages: [user(5)] }, 'messages.0.content'],
    ['no parts', { messages: [user([])] }, 'messages.0.content'],
    ['an image', { messages: [user([text('a'), image])] }, 'messages.0.content.1.type'],
    ['a part without text', { messages: [user([{ type: 'text' }])] }, 'messages.0.content.0.text'],
    ['half a character', { messages: [user('\ud800')] }, 'messages.0.content'],
    ['an empty answer', { messages: [assistant(null)] }, 'messages.0.content'],
    [
      'an empty answer beside no calls',
      { messages: [assistant(null, { tool_calls: [] })] },
      'messages.0.content',
    ],
    [
      'function_call',
      { messages: [assistant('a', { function_call: {} })] },
      'messages.0.function_call',
    ],
    ['no tool_call_id', { messages: [{ role: 'tool', content: 'a' }] }, 'messages.0.tool_call_id'],
    [
      'a call without id',
      { messages: [assistant('', { tool_calls: [{ function: {} }] })] },
      'messages.0.tool_calls.0.id',
    ],
    [
      'a custom call',
      { messages: [assistant('', { tool_calls: [{ ...call('a'), type: 'custom' }] })] },
      'messages.0.tool_calls.0.type',
    ],
    [
      'arguments',
      { messages: [assistant('', { tool_calls: [call('a', 5)] })] },
      'messages.0.tool_calls.0.function.arguments',
    ],
    [
      'a breakpoint',
      { messages: [user([text('a', { prompt_cache_breakpoint: { mode: 'x' } })])] },
      'messages.0.content.0.prompt_cache_breakpoint.mode',
    ],
    ['too many messages', { messages: Array(4097).fill(user('a')) }, 'messages'],
    ['top_logprobs alone', { top_logprobs: 2 }, 'top_logprobs'],
    ['too many top_logprobs', { logprobs: true, top_logprobs: 21 }, 'top_logprobs'],
    ['logprobs as a number', { logprobs: 3 }, 'logprobs'],
    [
      'two ways to go on',
      { messages: [assistant('a')], add_generation_prompt: true, continue_final_message: true },
      'add_generation_prompt',
    ],
    ['going on with a user', { continue_final_message: true }, 'continue_final_message'],
    [
      'going on with a message whose calls follow it',
      {
        messages: [user('a'), assistant('Hm', { tool_calls: [call('a')] })],
        continue_final_message: true,
      },
      'continue_final_message',
    ],
    [
      'a variable of its own',
      { chat_template_kwargs: { messages: [] } },
      'chat_template_kwargs.messages',
    ],
    ['a template', { chat_template: '{{ messages }}' }, 'chat_template'],
    ['functions', { functions: [{ name: 'f' }] }, 'functions'],
    ['function_call', { function_call: 'auto' }, 'function_call'],
    ['audio', { modalities: ['text', 'audio'] }, 'modalities'],
    ['audio options', { audio: { voice: 'x' } }, 'audio'],
    ['web search', { web_search_options: {} }, 'web_search_options'],
    ['a prompt', { prompt: 'Hi' }, 'prompt'],
    ['echo', { echo: true }, 'echo'],
    ['more stops than four', { stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop'],
    ['too few tokens', { max_tokens: 9, max_completion_tokens: 2, min_tokens: 3 }, 'min_tokens'],
  ])('%s', async (_, body, param) => {
    const { engine, refusal } = chatApp()
    const { status, param: found, message } = await refusal(body)
    expect({ status, param: found }).toEqual({ status: 400, param })
    expect(message.length).toBeLessThan(300)
    expect(engine.requests).toEqual([])
  })

  test('a model without a template, with a way out', async () => {
    const { refusal } = chatApp({ template: 'none' })
    expect(await refusal({})).toMatchObject({
      ...{ status: 400, param: 'messages', code: 'chat_template_missing' },
      message: expect.stringContaining('start the server with --chat-template FILE'),
    })
  })

  test('what the template refuses, in its words', async () => {
    const { refusal } = chatApp({ template: 'chat-templates/inst.jinja' })
    expect(await refusal({ messages: [user('a'), user('b')] })).toMatchObject({
      ...{ status: 400, param: 'messages' },
      message: expect.stringContaining('Turns must alternate between user and assistant'),
    })
  })

  test('half a character where only the template looks', async () => {
    const { refusal } = chatApp({ template: 'chat-templates/echo.jinja' })
    const body = { chat_template_kwargs: { depth: '\udc00' } }
    expect(await refusal(body)).toMatchObject({ status: 400, param: 'messages' })
  })

  test('no more than 40 characters of what was sent are shown', async () => {
    const { refusal } = chatApp()
    const { message } = await refusal({ messages: [{ role: 'x'.repeat(1000), content: '' }] })
    expect(message).toContain(`"${'x'.repeat(40)}"…`)
    expect(message).not.toContain('x'.repeat(41))
  })
})

describe('what reaches the engine', () => {
  test('fields of OpenAI that change nothing here are accepted', async () => {
    const { chat } = chatApp()
    const response = await chat({
      ...{ reasoning_effort: 'low', verbosity: 'low', metadata: {}, store: true, user: 'x' },
      ...{ service_tier: 'auto', prediction: { type: 'content', content: '' } },
      prompt_cache_options: { mode: 'explicit', ttl: '30m' },
      ...{ safety_identifier: 'x', modalities: ['text'], functions: [], function_call: 'none' },
      ...{ tools: [], tool_choice: 'auto', max_tokens: null, tool_call_id: null },
    })
    expect(response.status).toBe(200)
  })

  test.each<[string, object, number | undefined, number]>([
    ['the newer name wins', { max_completion_tokens: 7, max_tokens: 5 }, 100, 7],
    ['the older name', { max_tokens: 5 }, undefined, 5],
    [
      'the rest of the context',
      {},
      100,
      100 - '<s><|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n'.length,
    ],
    ['a bound where the model has none', {}, undefined, 2048],
    ['nothing but the prompt', { max_tokens: 0 }, undefined, 0],
  ])('maxTokens: %s', async (_, body, maxModelLen, expected) => {
    const { engine, chat } = chatApp({ model: { maxModelLen } })
    await chat(body)
    expect(engine.requests[0].maxTokens).toBe(expected)
  })

  test('a prompt that leaves no room is refused', async () => {
    const { refusal } = chatApp({ model: { maxModelLen: 10 } })
    expect(await refusal({})).toMatchObject({
      ...{ status: 400, param: 'messages', code: 'context_length_exceeded' },
    })
  })

  test('samples, sampling, log-probabilities and ids', async () => {
    const { engine, reply } = chatApp()
    const { id } = await reply({
      ...{ n: 2, seed: 7, temperature: 0.5, stop: 'x', logprobs: true, top_logprobs: 3 },
      request_id: 'r',
    })
    expect(id).toBe('chatcmpl-r')
    expect(engine.requests).toMatchObject([
      { id: 'chatcmpl-r-0', sampling: { seed: 7, temperature: 0.5 }, stop: ['x'], logprobs: 3 },
      { id: 'chatcmpl-r-1', sampling: { seed: 8, temperature: 0.5 }, stop: ['x'], logprobs: 3 },
    ])
  })

  test('logprobs without alternatives, and none', async () => {
    const { engine, chat } = chatApp()
    await chat({ logprobs: true })
    await chat({})
    expect(engine.requests.map(({ logprobs }) => logprobs)).toEqual([0, undefined])
  })

  test('a key of the prompt cache is a salt unless there is one', async () => {
    const { engine, chat } = chatApp()
    await chat({ prompt_cache_key: 'key' })
    await chat({ prompt_cache_key: 'key', cache_salt: 'salt' })
    expect(engine.requests.map(({ cacheSalt }) => cacheSalt)).toEqual(['key', 'salt'])
  })
})

describe('tools that are refused', () => {
  const tools = [tool('time'), tool('date')]

  test.each<[string, object, string]>([
    ['no list', { tools: {} }, 'tools'],
    ['too many', { tools: Array.from({ length: 129 }, (_, i) => tool(`t${i}`)) }, 'tools'],
    ['a custom tool', { tools: [{ type: 'custom', custom: { name: 'x' } }] }, 'tools.0.type'],
    ['no name', { tools: [{ type: 'function', function: {} }] }, 'tools.0.function.name'],
    ['a name with a space', { tools: [tool('a b')] }, 'tools.0.function.name'],
    ['a name that is taken', { tools: [tool('a'), tool('a')] }, 'tools.1.function.name'],
    [
      'no schema',
      { tools: [{ type: 'function', function: { name: 'a', parameters: 'x' } }] },
      'tools.0.function.parameters',
    ],
    ['a choice', { tools, tool_choice: 'maybe' }, 'tool_choice'],
    [
      'a custom choice',
      { tools, tool_choice: { type: 'custom', custom: { name: 'time' } } },
      'tool_choice.type',
    ],
    ['required without tools', { tool_choice: 'required' }, 'tool_choice'],
    ['required with no tools', { tools: [], tool_choice: 'required' }, 'tool_choice'],
    ['a tool without tools', { tool_choice: tool('time') }, 'tool_choice'],
    ['a tool that is absent', { tools, tool_choice: tool('place') }, 'tool_choice'],
    ['no name in the choice', { tools, tool_choice: { type: 'function' } }, 'tool_choice.function'],
    [
      'an absent one allowed',
      {
        tools,
        tool_choice: {
          type: 'allowed_tools',
          allowed_tools: { mode: 'auto', tools: [tool('place')] },
        },
      },
      'tool_choice',
    ],
    ['a format beside', { tools, response_format: { type: 'json_object' } }, 'response_format'],
    [
      'a regex beside',
      { tools, tool_choice: 'required', structured_outputs: { regex: 'a' } },
      'structured_outputs',
    ],
  ])('%s', async (_, body, param) => {
    const { engine, refusal } = chatApp()
    expect(await refusal(body)).toMatchObject({ status: 400, param })
    expect(engine.requests).toEqual([])
  })

  test('by a template that does not show them', async () => {
    const { refusal } = chatApp({ template: 'chat-templates/inst.jinja' })
    expect(await refusal({ tools })).toMatchObject({
      ...{ status: 400, param: 'tools', code: 'unsupported_parameter' },
    })
  })
})

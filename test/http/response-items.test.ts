import { describe, expect, test } from 'bun:test'
import { ApiError } from '../../src/errors.ts'
import type { ChatMessage } from '../../src/http/chat/messages.ts'
import { toItems } from '../../src/http/responses/items.ts'
import { toMessages } from '../../src/http/responses/turns.ts'

const call = (id: string) => ({ type: 'function_call', call_id: id, name: 'f', arguments: '{}' })
const says = (text: string) => [{ type: 'text' as const, text }]
const toolCall = (id: string) => ({
  id,
  type: 'function' as const,
  function: { name: 'f', arguments: '{}' },
})

describe('input', () => {
  test.each<[string, string | unknown[], ChatMessage[]]>([
    ['a string', 'Hi', [{ role: 'user', content: says('Hi') }]],
    ['no items', [], []],
    [
      'messages, with or without their type',
      [
        { role: 'developer', content: 'Be kind.' },
        { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hi' }] },
      ],
      [
        { role: 'developer', content: says('Be kind.') },
        { role: 'user', content: says('Hi') },
      ],
    ],
    [
      'an answer as it was given',
      [
        {
          ...{ type: 'message', id: 'msg_1', role: 'assistant', status: 'completed' },
          content: [
            { type: 'output_text', text: 'A', annotations: [], logprobs: [] },
            { type: 'output_text', text: 'B', annotations: [] },
            { type: 'refusal', refusal: 'C' },
          ],
        },
      ],
      [{ role: 'assistant', content: says('ABC') }],
    ],
    [
      'parts with a cache breakpoint',
      [
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'A', prompt_cache_breakpoint: { mode: 'explicit' } },
            { type: 'input_text', text: 'B', prompt_cache_breakpoint: null },
          ],
        },
      ],
      [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'A', prompt_cache_breakpoint: { mode: 'explicit' } },
            { type: 'text', text: 'B' },
          ],
        },
      ],
    ],
    [
      'calls side by side and their results',
      [
        { type: 'reasoning', id: 'rs_1', summary: [] },
        call('c1'),
        call('c2'),
        { type: 'function_call_output', call_id: 'c1', output: '1' },
        {
          type: 'function_call_output',
          call_id: 'c2',
          output: [{ type: 'input_text', text: '2' }],
        },
        call('c3'),
      ],
      [
        { role: 'assistant', tool_calls: [toolCall('c1'), toolCall('c2')] },
        { role: 'tool', tool_call_id: 'c1', content: says('1') },
        { role: 'tool', tool_call_id: 'c2', content: says('2') },
        { role: 'assistant', tool_calls: [toolCall('c3')] },
      ],
    ],
  ])('%s', (_name, input, expected) => {
    expect(toMessages(toItems(input))).toEqual(expected)
  })

  test('items keep their ids and get those that they lack', () => {
    const [own, made, made2] = toItems([
      { id: 'msg_7', role: 'user', content: 'x' },
      { role: 'user', content: 'x' },
      call('c'),
    ])
    expect(own.id).toBe('msg_7')
    expect(made.id).toMatch(/^msg_[0-9a-f]{32}$/)
    expect(made2.id).toMatch(/^fc_[0-9a-f]{32}$/)
  })

  const refused: [input: unknown[], param: string, words: string][] = [
    [['x'], 'input.0', 'found "x"'],
    [[null], 'input.0', 'found null'],
    [[[]], 'input.0', 'found a list of 0'],
    [[{ role: 'robot', content: 'x' }], 'input.0.role', 'one of system, developer'],
    [[{ role: 'user' }], 'input.0.content', 'found undefined'],
    [[{ role: 'user', content: [] }], 'input.0.content', 'found a list of 0'],
    [[{ role: 'user', content: [5] }], 'input.0.content.0.type', 'input_text or output_text'],
    [
      [{ role: 'user', content: [{ type: 'input_image', image_url: 'x' }] }],
      'input.0.content.0.type',
      'found "input_image"',
    ],
    [
      [{ role: 'user', content: [{ type: 'input_text', text: 5 }] }],
      'input.0.content.0.text',
      'found 5',
    ],
    [[{ type: 'item_reference', id: 'msg_1' }], 'input.0.type', 'found "item_reference"'],
    [[{ ...call('c'), call_id: 5 }], 'input.0.call_id', 'found 5'],
    [[{ ...call('c'), arguments: {} }], 'input.0.arguments', 'found an object'],
    [[{ type: 'function_call_output', call_id: 'c' }], 'input.0.output', 'found undefined'],
    [[{ role: 'assistant', content: null }], 'input.0.content', 'found null'],
    [Array(4097).fill({ role: 'user', content: 'x' }), 'input', 'at most 4096'],
  ]
  const byPlace = refused.map(([input, ...place]) => [...place, input] as const)
  test.each(byPlace)('refused: %s, %s', (param, words, input) => {
    let error: unknown
    try {
      toMessages(toItems(input))
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(ApiError)
    expect(error).toMatchObject({ status: 400, param })
    expect((error as ApiError).message).toContain(words)
  })
})

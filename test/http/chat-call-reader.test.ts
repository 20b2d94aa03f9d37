// Calls in the text of an answer, whole and in pieces.

import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type AnswerPart, AnswerReader, type FunctionCall } from '../../src/http/chat/tool-calls.ts'
import type { ToolCallStyle } from '../../src/http/context.ts'

/** What a text says, read in these pieces. */
function read(style: ToolCallStyle, pieces: readonly string[]): AnswerPart {
  const reader = new AnswerReader(style, new Set(['time', 'date']))
  const parts = [...pieces.map((piece) => reader.push(piece)), reader.finish()]
  return {
    text: parts.map(({ text }) => text).join(''),
    calls: parts.flatMap(({ calls }) => calls),
  }
}

const time = (json = '{}'): FunctionCall => ({ name: 'time', arguments: json })
const date = (json = '{}'): FunctionCall => ({ name: 'date', arguments: json })

const cases: [string, ToolCallStyle, string, string, FunctionCall[]][] = [
  ['text', 'hermes', 'Just text.\n', 'Just text.\n', []],
  ['a call', 'hermes', '<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>', '', [time()]],
  [
    'text, calls and text',
    'hermes',
    'Let me see.\n<tool_call>{"name":"time"}</tool_call>\n <tool_call>{"name":"date"}</tool_call>\n\nSo.\n',
    'Let me see.So.\n',
    [time(), date()],
  ],
  ['several in one block', 'hermes', '<tool_call>[{"name":"time"},{"name":"date"}]</tool_call>', '', [time(), date()]],
  ['no end mark', 'hermes', 'a <tool_call>{"name": "time"}', 'a', [time()]],
  ['a call that breaks off', 'hermes', 'a <tool_call>{"name": "ti', 'a <tool_call>{"name": "ti', []],
  ['a mark that breaks off', 'hermes', 'a < b <tool_', 'a < b <tool_', []],
  ['no JSON', 'hermes', 'a <tool_call>time()</tool_call> b', 'a <tool_call>time()</tool_call> b', []],
  [
    'a function that does not exist, then one that does',
    'hermes',
    '<tool_call>{"name":"place"}</tool_call> <tool_call>{"name":"time"}</tool_call>',
    '<tool_call>{"name":"place"}</tool_call>',
    [time()],
  ],
  ['more spaces than are left out', 'hermes', `a${'\n'.repeat(70)}<tool_call>{"name":"time"}</tool_call>`, `a${'\n'.repeat(6)}`, [time()]],
  ['spaces and no call', 'hermes', `a${' '.repeat(70)}`, `a${' '.repeat(70)}`, []],
  ['marks of others', 'hermes', '[TOOL_CALLS] [{"name":"time"}]', '[TOOL_CALLS] [{"name":"time"}]', []],
  ['a list', 'mistral', '[TOOL_CALLS] [{"name":"time","arguments":{"a":1}},{"name":"date"}]', '', [time('{"a":1}'), date()]],
  ['text and a list', 'mistral', 'Well: [TOOL_CALLS][{"name":"time"}]', 'Well:', [time()]],
  ['a list that breaks off', 'mistral', '[TOOL_CALLS] [{"name":"time"', '[TOOL_CALLS] [{"name":"time"', []],
  ['a list and what ended the answer', 'mistral', '[TOOL_CALLS] [{"name":"time"}]</s>', '</s>', [time()]],
  ['a bracket in a text', 'mistral', '[TOOL_CALLS] [{"name":"time","arguments":{"a":"]}\\""}}]</s>', '</s>', [time('{"a":"]}\\""}')]],
  ['no list', 'mistral', '[TOOL_CALLS] time [TOOL_CALLS] [{"name":"date"}]', '[TOOL_CALLS] time', [date()]],
  ['an object', 'json', ' {"name": "time", "parameters": {"a": "b"}}\n', '', [time('{"a":"b"}')]],
  ['a list of objects', 'json', '[{"name":"time"},{"name":"date"}]', '', [time(), date()]],
  ['an empty list', 'json', '[]', '[]', []],
  ['an object that is no call', 'json', '{"answer": 42}', '{"answer": 42}', []],
  ['an object that is no call, and text', 'json', '{"answer": 42} it is', '{"answer": 42} it is', []],
  ['a number in brackets', 'json', '[1] says so', '[1] says so', []],
  ['an object and text', 'json', '{"name":"time"} So.\n', 'So.\n', [time()]],
  ['objects one after another', 'json', '{"name":"time"}\n{"name":"date"}', '', [time(), date()]],
  ['text before an object', 'json', 'Here: {"name": "time"}', 'Here: {"name": "time"}', []],
  ['nothing', 'json', '', '', []],
  ['spaces', 'json', ' \n', ' \n', []],
  ['arguments as text', 'json', '{"name":"time","arguments":"{\\"a\\": 1}"}', '', [time('{"a": 1}')]],
  ['arguments that are no object', 'json', '{"name":"time","arguments":[1]}', '{"name":"time","arguments":[1]}', []],
  ['long numbers', 'json', '{"name":"time","arguments":{"id":12345678901234567890,"x":1.0}}', '', [time('{"id":12345678901234567890,"x":1.0}')]],
] // biome-ignore format: a table

describe('calls in a text', () => {
  test.each(cases)('%s (%s)', (_, style, given, text, calls) => {
    expect(read(style, [given])).toEqual({ text, calls })
  })

  test('do not depend on how it arrives', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...cases),
        fc.array(fc.integer({ min: 0, max: 90 }), { maxLength: 12 }),
        ([, style, given, text, calls], cuts) => {
          const ends = [0, ...cuts.sort((a, b) => a - b), given.length]
          const pieces = ends.slice(1).map((end, index) => given.slice(ends[index], end))
          expect(read(style, pieces)).toEqual({ text, calls })
        },
      ),
      { seed: 4, numRuns: 2000 },
    )
  })

  test.each<[ToolCallStyle, string[], string[]]>([
    [
      'hermes',
      ['One', ' two ', '<', 'tool_', 'box>', ' <tool_call>'],
      ['One', ' two', '', '', ' <tool_box>', ''],
    ],
    ['json', ['[', '1', '] see'], ['', '[1', '] see']],
    ['json', ['{', ' x', ' }'], ['', '{ x', ' }']],
    ['json', [' ', 'No', ' {'], ['', ' No', ' {']],
    ['json', ['[', ' {', '"a":', '1}]', ' {'], ['', '', '', '[ {"a":1}]', ' {']],
    ['mistral', ['[TOOL_CALLS]', ' f', '{'], ['', '[TOOL_CALLS] f', '{']],
  ])('text is given out as soon as it cannot begin a call (%s, %j)', (style, pieces, expected) => {
    const reader = new AnswerReader(style, new Set(['time']))
    expect(pieces.map((piece) => reader.push(piece).text)).toEqual(expected)
  })

  test('calls are given out as soon as they are whole', () => {
    const reader = new AnswerReader('mistral', new Set(['time']))
    const pieces = ['[TOOL_CALLS]', '[{"name":', '"time"}', ']', '</s>']
    expect(pieces.map((piece) => reader.push(piece).calls.length)).toEqual([0, 0, 0, 1, 0])
  })

  test.each<[string, ToolCallStyle, string]>([
    ['<tool_call>', 'hermes', '"ab, '],
    ['', 'hermes', '\n\n\n\n'],
    ['[', 'json', '{"a":1},'],
    ['', 'json', '\n\n\n\n'],
    ['[TOOL_CALLS][', 'mistral', '{"a":1},'],
  ])('what is held back takes no longer the more it is: %p (%s)', (first, style, piece) => {
    const count = 100_000
    const started = performance.now()
    const reader = new AnswerReader(style, new Set(['time']))
    reader.push(first)
    let length = first.length
    for (let i = 0; i < count; i++) length -= reader.push(piece).text.length - piece.length
    expect(length - reader.finish().text.length).toBe(0)
    // It takes about 50 ms; looking at all of it each time takes many seconds.
    expect(performance.now() - started).toBeLessThan(3000)
  })

  test('arguments that are nested too deep are text', () => {
    const depth = 200_000
    const text = `<tool_call>{"name":"time","arguments":${'{"a":'.repeat(depth)}1${'}'.repeat(depth + 1)}`
    expect(read('hermes', [text])).toEqual({ text, calls: [] })
  })

  test('an answer with many calls takes no longer for each', () => {
    const started = performance.now()
    const text = '<tool_call>{"name":"time"}</tool_call>'.repeat(40_000)
    expect(read('hermes', [text]).calls).toHaveLength(40_000)
    expect(performance.now() - started).toBeLessThan(3000)
  })
})

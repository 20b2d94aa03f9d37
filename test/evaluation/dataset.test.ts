// Items as the usual datasets write them, and what is said of broken ones.
import { expect, test } from 'bun:test'
import { ConfigError } from '../../src/errors.ts'
import { parseItems } from '../../src/evaluation/dataset.ts'

test.each<[string, object]>([
  ['{"query": "q", "choices": ["a", "b"], "gold": 1}', { query: 'q', gold: 1 }],
  ['{"ctx": "q", "endings": ["a", "b"], "label": "1"}', { query: 'q', gold: 1 }],
  ['{"question": "", "options": ["a", "b"], "answer": "B"}', { query: '', gold: 1 }],
  ['{"context": "q", "choices": ["a", "b"], "answer_idx": 0, "id": 7}', { query: 'q', gold: 0 }],
  ['{"query": "q", "question": "x", "choices": ["a", "b"], "gold": "A"}', { query: 'q', gold: 0 }],
])('%s', (line, item) => {
  expect(parseItems(line, 'f')).toEqual([{ ...item, choices: ['a', 'b'] }] as never)
})

const good = '{"query": "q", "choices": ["a", "b"], "gold": 1}'

test('blank lines are skipped, a limit takes the first', () => {
  const text = `\n${good}\r\n\n${good}\n${good}\n`
  expect(parseItems(text, 'f')).toHaveLength(3)
  expect(parseItems(text, 'f', 2)).toHaveLength(2)
  // What is not wanted is not looked at.
  expect(parseItems(`${good}\nbroken`, 'f', 1)).toHaveLength(1)
})

test.each<[string, string]>([
  ['{', 'line 2: found {; allowed: a JSON object with query, choices and gold'],
  ['[1]', 'line 2: found [1]; allowed: a JSON object'],
  ['{"choices": ["a", "b"], "gold": 1}', 'line 2: query: found nothing; allowed: a text (query,'],
  ['{"ctx": 5, "choices": ["a", "b"], "gold": 1}', 'line 2: ctx: found 5; allowed: a text'],
  ['{"query": "q", "gold": 1}', 'line 2: choices: found nothing; allowed: 2 to 26 texts'],
  ['{"query": "q", "choices": ["a"], "gold": 0}', 'line 2: choices: found ["a"]; allowed: 2 to 26'],
  ['{"query": "q", "choices": ["a", ""], "gold": 0}', 'choices: found ["a",""]; allowed'],
  ['{"query": "q", "choices": {"text": ["a"]}, "gold": 0}', 'choices: found {"text":["a"]}'],
  [
    '{"query": "q", "choices": ["a", "b"]}',
    'line 2: gold: found nothing; allowed: 0 to 1 or A to B',
  ],
  ['{"query": "q", "choices": ["a", "b"], "gold": 2}', 'gold: found 2; allowed: 0 to 1 or A to B'],
  ['{"query": "q", "choices": ["a", "b"], "label": "C"}', 'label: found C; allowed: 0 to 1'],
  ['{"query": "q", "choices": ["a", "b"], "gold": -1}', 'gold: found -1; allowed'],
  ['{"query": "q", "choices": ["a", "b"], "gold": 0.5}', 'gold: found 0.5; allowed'],
])('%s is refused', (line, message) => {
  const parse = () => parseItems(`${good}\n${line}`, 'f.jsonl')
  expect(parse).toThrow(ConfigError)
  expect(parse).toThrow(`--dataset f.jsonl, `)
  expect(parse).toThrow(message)
})

test('a file without items is refused', () => {
  expect(() => parseItems(' \n', 'f')).toThrow('--dataset f: holds no items')
})

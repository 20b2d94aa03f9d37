// Items as the usual datasets write them, and what is said of broken ones.
import { expect, test } from 'bun:test'
import { ConfigError } from '../../src/errors.ts'
import { parseItems } from '../../src/evaluation/dataset.ts'

test.each<[string, object]>([
  ['{"query": "q", "choices": ["a", "b"], "gold": 1}', { query: 'q', gold: 1 }],
  ['{"ctx": "q", "endings": ["a", "b"], "label": "1"}', { query: 'q', gold: 1 }],
  ['{"question": "", "options": ["a", "b"], "answer": "B"}', { query: '', gold: 1 }],
  ['{"context": "q", "choices": ["a", "b"], "answer_idx": 0, "id": 7}', { query: 'q', gold: 0 }],
  // HellaSwag has parts of its ctx beside it.
  [
    '{"ctx_a": "x", "ctx_b": "y", "ctx": "q", "endings": ["a", "b"], "label": 0}',
    { query: 'q', gold: 0 },
  ],
  // ARC, also with digits for labels, which begin with 1.
  [
    '{"id": "x", "question": "q", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "B"}',
    { query: 'q', gold: 1 },
  ],
  [
    '{"question": "q", "choices": {"label": ["1", "2"], "text": ["a", "b"]}, "answerKey": "1"}',
    { query: 'q', gold: 0 },
  ],
  // OpenBookQA.
  [
    '{"question_stem": "q", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "A"}',
    { query: 'q', gold: 0 },
  ],
])('%s', (line, item) => {
  expect(parseItems(line, 'f')).toEqual([{ line: 1, ...item, choices: ['a', 'b'] }] as never)
})

const good = '{"query": "q", "choices": ["a", "b"], "gold": 1}'

test('blank lines are skipped but counted, a limit takes the first', () => {
  const text = `\n${good}\r\n\n${good}\n${good}\n`
  expect(parseItems(text, 'f').map(({ line }) => line)).toEqual([2, 4, 5])
  expect(parseItems(text, 'f', 2).map(({ line }) => line)).toEqual([2, 4])
  // What is not wanted is not looked at.
  expect(parseItems(`${good}\nbroken`, 'f', 1)).toHaveLength(1)
})

const labelled = (labels: string, answer: string) =>
  `{"query": "q", "choices": {"text": ["a", "b"], "label": ${labels}}${answer}}`

test.each<[string, string]>([
  ['{', 'line 2: is not valid JSON ('],
  ['{"query": "q", }', 'line 2: is not valid JSON ('],
  ['[1]', 'line 2: found [1]; allowed: a JSON object'],
  ['"query"', 'line 2: found "query"; allowed: a JSON object with query, choices and gold'],
  ['null', 'line 2: found null; allowed: a JSON object'],
  ['{"choices": ["a", "b"], "gold": 1}', 'line 2: query: found nothing; allowed: a text (query,'],
  ['{"ctx": 5, "choices": ["a", "b"], "gold": 1}', 'line 2: ctx: found 5; allowed: a text'],
  // A part of the text would not be read.
  [
    '{"context": "c", "question": "q", "choices": ["a", "b"], "gold": 1}',
    'line 2: has context and question; an item needs one query that is all of the text',
  ],
  [
    '{"article": "c", "question": "q", "options": ["a", "b"], "answer": "B"}',
    'line 2: has question and article; an item needs one query',
  ],
  [
    '{"question": "q", "passage": "c", "choices": ["a", "b"], "gold": 1}',
    'has question and passage',
  ],
  [
    '{"question": "q", "support": "c", "choices": ["a", "b"], "gold": 1}',
    'has question and support',
  ],
  ['{"query": "q", "gold": 1}', 'line 2: choices: found nothing; allowed: 2 to 26 texts'],
  ['{"query": "q", "choices": ["a"], "gold": 0}', 'line 2: choices: found ["a"]; allowed: 2 to 26'],
  ['{"query": "q", "choices": ["a", ""], "gold": 0}', 'choices: found ["a",""]; allowed'],
  ['{"query": "q", "choices": {"text": ["a"]}, "gold": 0}', 'choices: found {"text":["a"]}'],
  [labelled('["A"]', ', "answerKey": "A"'), 'choices: found {"text":["a","b"],"label":["A"]}'],
  [labelled('["A", "A"]', ', "answerKey": "A"'), 'or {"text": […], "label": […]} of as many'],
  [
    labelled('["A", "B"]', ', "answerKey": "C"'),
    'answerKey: found "C"; allowed: one of the labels A, B',
  ],
  [labelled('["A", "B"]', ', "answerKey": ""'), 'answerKey: found ""; allowed: one of the labels'],
  [
    labelled('["1", "2"]', ', "gold": 0'),
    'answerKey: found nothing; allowed: one of the labels 1, 2',
  ],
  [
    '{"query": "q", "choices": ["a", "b"]}',
    'line 2: gold: found nothing; allowed: 0 to 1 or A to B',
  ],
  ['{"query": "q", "choices": ["a", "b"], "gold": 2}', 'gold: found 2; allowed: 0 to 1 or A to B'],
  ['{"query": "q", "choices": ["a", "b"], "label": "C"}', 'label: found "C"; allowed: 0 to 1'],
  ['{"query": "q", "choices": ["a", "b"], "label": "a\\nb"}', 'label: found "a\\nb"; allowed'],
  ['{"query": "q", "choices": ["a", "b"], "gold": -1}', 'gold: found -1; allowed'],
  ['{"query": "q", "choices": ["a", "b"], "gold": 0.5}', 'gold: found 0.5; allowed'],
])('%s is refused', (line, message) => {
  const parse = () => parseItems(`${good}\n${line}`, 'f.jsonl')
  expect(parse).toThrow(ConfigError)
  expect(parse).toThrow(`--dataset f.jsonl, `)
  expect(parse).toThrow(message)
  expect(parse).not.toThrow('\n')
})

test('a file without items is refused', () => {
  expect(() => parseItems(' \n', 'f')).toThrow('--dataset f: holds no items')
})

test('a file that is one array is refused', () => {
  expect(() => parseItems(`\n [\n${good}\n]`, 'f')).toThrow(
    '--dataset f: begins with [ as a JSON array does; one object a line is wanted',
  )
})

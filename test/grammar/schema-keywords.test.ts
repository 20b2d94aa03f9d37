// Keywords of JSON Schema: values that the schema allows can be written, others cannot. ajv says the
// same of every value in the tables.

import { afterAll, describe, expect, test } from 'bun:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { isAllowed, openTestGrammars } from './walk.ts'

const grammars = openTestGrammars()
const ajv = new Ajv2020({ strict: false })

afterAll(() => grammars[Symbol.dispose]())

const isWritten = (schema: unknown, text: string) =>
  isAllowed(grammars, { kind: 'json_schema', schema }, text)

type Row = [schema: unknown, valid: unknown[], invalid: unknown[]]

const list = { type: 'array' }
const object = (properties: object, rest: object = {}) => ({ type: 'object', properties, ...rest })
const node = object(
  { value: { type: 'integer' }, next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } },
  { required: ['value', 'next'] },
)

const ROWS: Row[] = [
  [true, [1, 'a', null, [], {}, [{ a: [false] }]], []],
  [{}, [1.5, { a: { b: null } }], []],
  [{ title: 'T', description: 'D', default: 1, examples: [2], $comment: 'c', 'x-y': 3 }, [[]], []],
  [{ type: 'string' }, ['', 'a "b" \\ \n é 😀 \u0007'], [1, null]],
  [{ type: 'integer' }, [0, -12, 9007199254740991], [1.5, '1']],
  [{ type: 'number' }, [0, -1.5, 1e21, 5e-200, 0.1234567890123456], ['1', null]],
  [{ type: 'boolean' }, [true, false], [0, 'true']],
  [{ type: ['null', 'integer'] }, [null, 3], [true, 'x']],
  [{ type: ['number', 'integer'], maximum: 2 }, [1.5, -7], [2.5]],
  [{ const: { a: [1, 'x'] } }, [{ a: [1, 'x'] }], [{ a: [1] }]],
  [{ enum: ['a', 1, null, 'a'] }, ['a', 1, null], ['b', 2]],
  [{ enum: ['a', 1, 'abc'], type: 'string', maxLength: 2 }, ['a'], [1, 'abc']],
  [{ enum: [1, 5, 9], minimum: 2, exclusiveMaximum: 9 }, [5], [1, 9]],
  [{ const: 1, enum: [1, 2] }, [1], [2]],
  [{ type: 'string', minLength: 2, maxLength: 3 }, ['ab', 'é😀"', '\n\n'], ['a', 'abcd']],
  [{ type: 'string', minLength: 2 }, ['ab', 'abcdefgh'], ['', 'a']],
  [{ type: 'string', maxLength: 0 }, [''], ['a']],
  [{ type: 'string', maxLength: 300 }, ['', 'x'.repeat(300)], ['x'.repeat(301)]],
  [{ type: 'string', minLength: 200 }, ['x'.repeat(200), 'y'.repeat(320)], ['x'.repeat(199)]],
  [{ type: 'string', pattern: '^a+$' }, ['a', 'aaa'], ['', 'ab']],
  [{ type: 'string', pattern: 'b["\\\\\\n]' }, ['b"', 'aab\\cc', '\tb\n'], ['b', '"b']],
  [{ type: 'string', pattern: '^[a-z]+$', minLength: 2, maxLength: 3 }, ['ab', 'abc'], ['a', 'abcd']],
  [{ type: 'string', pattern: '^x-[0-9]*$', maxLength: 4 }, ['x-', 'x-12'], ['x-123']],
  [{ type: 'string', pattern: '^ab$', maxLength: 9 }, ['ab'], ['abc']],
  [{ type: 'integer', minimum: -3, exclusiveMaximum: 12 }, [-3, 0, 11], [-4, 12, 1.5]],
  [{ type: 'number', exclusiveMinimum: 0, maximum: 2.5 }, [0.001, 1, 2.5], [0, 2.51, -1]],
  [{ type: 'integer', multipleOf: 7, minimum: -7, maximum: 20 }, [-7, 0, 14], [1, 21]],
  [{ type: 'number', multipleOf: 1 }, [3], [3.5]],
  [list, [[], [1, 'a', [null]]], [{}, 1]],
  [{ ...list, items: { type: 'integer' } }, [[], [1, 2]], [['a'], [1, null]]],
  [{ ...list, minItems: 1, maxItems: 2 }, [[1], [1, 2]], [[], [1, 2, 3]]],
  [{ ...list, maxItems: 0 }, [[]], [[1]]],
  [{ ...list, items: false }, [[]], [[1]]],
  [{ ...list, prefixItems: [{ type: 'null' }, { type: 'boolean' }] }, [[], [null], [null, true, 'x']], [[1]]],
  [{ ...list, prefixItems: [{ type: 'null' }, { type: 'boolean' }], items: false, minItems: 1 }, [[null], [null, true]], [[], [null, true, 1]]],
  [{ ...list, prefixItems: [{ type: 'null' }], items: { type: 'integer' }, minItems: 3, maxItems: 3 }, [[null, 1, 2]], [[null, 1], [null, 1, 2, 3]]],
  [{ ...list, prefixItems: [{ type: 'null' }, { type: 'null' }], maxItems: 1 }, [[], [null]], [[null, null]]],
  [{ ...list, uniqueItems: true, maxItems: 1 }, [[], [1]], [[1, 2]]],
  [{ type: 'object' }, [{}, { a: 1, b: { c: [] } }], [[], 1]],
  [object({ a: { type: 'integer' } }), [{}, { a: 1 }], [{ a: 'x' }]],
  [object({ a: { type: 'null' }, b: { type: 'null' } }, { required: ['b'] }), [{ b: null }, { a: null, b: null }], [{}, { a: null }]],
  [object({ a: { type: 'null' } }, { required: ['z'], additionalProperties: { type: 'integer' } }), [{ z: 1 }, { a: null, z: 2, q: 3 }], [{}, { z: 'x' }, { z: 1, q: 'x' }]],
  [object({}, { required: ['a'] }), [{ a: 1 }, { a: null, b: 2 }], [{}]],
  [object({ 'a"\n': { const: 1 }, größe: { const: 2 } }), [{ 'a"\n': 1, größe: 2 }], [{ größe: 1 }]],
  [object({ ab: { const: 1 } }, { additionalProperties: { const: 2 } }), [{ ab: 1, a: 2, abc: 2, '': 2 }], [{ ab: 2 }, { a: 1 }]],
  [object({ a: false, b: { const: 1 } }, { additionalProperties: true }), [{ b: 1 }, { c: 1 }], [{ a: 1 }]],
  [{ type: 'object', additionalProperties: false }, [{}], [{ a: 1 }]],
  [{ type: 'object', additionalProperties: { type: 'boolean' } }, [{}, { a: true }], [{ a: 1 }]],
  [{ type: 'object', patternProperties: { '^x-': { type: 'integer' } } }, [{}, { 'x-a': 1 }], [{ 'x-a': 'b' }]],
  [{ type: 'object', propertyNames: { pattern: '^[ab]$' } }, [{}, { a: 1, b: [] }], [{ c: 1 }]],
  [{ type: 'object', propertyNames: { enum: ['k'] }, additionalProperties: { const: 0 } }, [{ k: 0 }], [{ j: 0 }, { k: 1 }]],
  [{ type: 'object', minProperties: 1 }, [{ a: 1 }, { a: 1, b: 2 }], [{}]],
  [{ type: 'object', maxProperties: 1 }, [{}, { a: 1 }], [{ a: 1, b: 2 }]],
  [object({ a: {}, b: {}, c: {} }, { minProperties: 2, maxProperties: 2 }), [{ a: 1, b: 1 }, { a: 1, c: 1 }, { b: 1, c: 1 }], [{ a: 1 }, { a: 1, b: 1, c: 1 }]],
  [object({ a: {}, b: {} }, { minProperties: 3 }), [{ a: 1, b: 1, c: 1 }], [{ a: 1, b: 1 }]],
  [{ anyOf: [{ type: 'integer' }, { type: 'string', maxLength: 1 }] }, [5, 'a'], ['ab', null]],
  [{ type: 'string', anyOf: [{ pattern: '^a' }, { maxLength: 1 }] }, ['abc', 'b'], ['bc', 1]],
  [{ oneOf: [object({ k: { const: 'a' } }, { required: ['k'] }), object({ k: { enum: ['b', 'c'] } }, { required: ['k'] }), { type: 'null' }] }, [{ k: 'a' }, { k: 'c' }, null], [{ k: 'd' }, {}]],
  [{ oneOf: [{ const: 1 }, { enum: [2, 3] }] }, [1, 3], [4]],
  [{ allOf: [{ type: 'integer', minimum: 1 }, { maximum: 3 }, { type: ['number', 'null'] }] }, [1, 3], [0, 4, null]],
  [{ allOf: [object({ a: { type: 'integer' } }, { required: ['a'] }), object({ a: { maximum: 3 }, b: { type: 'null' } }, { required: ['b'] })] }, [{ a: 3, b: null }], [{ a: 4, b: null }, { a: 1 }]],
  [{ allOf: [object({ a: { type: 'null' } }, { additionalProperties: { type: 'integer' } }), object({ a: {}, b: {} })] }, [{ a: null, b: 1 }, {}], [{ b: 'x' }]],
  [{ allOf: [{ ...list, prefixItems: [{ type: 'integer' }] }, { items: { maximum: 5 }, minItems: 2, maxItems: 2 }] }, [[5, 5], [1, 5]], [[6, 1], ['a', 1]]],
  [{ $ref: '#/$defs/a~1b', $defs: { 'a/b': { type: 'null' } } }, [null], [1]],
  [{ $ref: '#/$defs/a', minimum: 3, $defs: { a: { type: 'integer' } } }, [3], [2, 3.5]],
  [{ $ref: '#/definitions/a%20b', definitions: { 'a b': { const: 1 } } }, [1], [2]],
  [{ $ref: '#/$defs/node', $defs: { node } }, [{ value: 1, next: null }, { value: 1, next: { value: 2, next: null } }], [{ value: 1 }, { value: 1, next: 2 }]],
  [{ type: 'array', items: { $ref: '#' } }, [[], [[], [[]]]], [[1]]],
  [{ allOf: [{ $ref: '#/$defs/base' }, object({ child: { $ref: '#' } })], $defs: { base: object({ v: { type: 'integer' }, child: { $ref: '#/$defs/base' } }, { required: ['v'] }) } }, [{ v: 1 }, { v: 1, child: { v: 2, child: { v: 3 } } }], [{ child: { v: 1 } }, { v: 1, child: {} }]],
  [
    {
      type: ['object', 'string'],
      oneOf: [
        { properties: { k: { const: 1 } }, required: ['k'] },
        { properties: { k: { const: 2 } }, required: ['k'] },
      ],
    },
    [{ k: 1 }, { k: 2 }],
    ['a', {}],
  ],
  [
    { type: 'object', propertyNames: { enum: ['a', 1], maxLength: 1 } },
    [{ a: 1 }],
    [{ b: 1 }, { '1': 1 }],
  ],
  [{ type: 'object', propertyNames: { type: ['string', 'null'], pattern: '^a' } }, [{ ab: 1 }], [{ b: 1 }]],
  [{ type: 'object', propertyNames: { type: 'integer' } }, [{}], [{ a: 1 }]],
] // biome-ignore format: a table

describe.each(ROWS)('%j', (schema, valid, invalid) => {
  const validate = ajv.compile(schema as object)

  test('allows valid values', async () => {
    for (const value of valid) {
      const text = JSON.stringify(value)
      expect([text, validate(value), await isWritten(schema, text)]).toEqual([text, true, true])
    }
  })

  test('does not allow others', async () => {
    for (const value of invalid) {
      const text = JSON.stringify(value)
      expect([text, validate(value), await isWritten(schema, text)]).toEqual([text, false, false])
    }
  })
})

describe('spelling', () => {
  const pair = object(
    { a: { type: 'string', maxLength: 4 }, b: { type: 'number' } },
    { required: ['a'] },
  )

  test.each(['{"a":"x"}', '{"a": "x", "b": 1}', '{"a":"\\n", "b":1}'])('%s', async (text) => {
    expect(await isWritten(pair, text)).toBe(true)
  })

  test.each([
    '{"a":  "x"}',
    '{ "a":"x"}',
    '{"a":"x"\n}',
    '{"a":"x","a":"y"}',
    '{"b":1,"a":"x"}',
    '{"a":"\t"}',
    '{"a":"\\x"}',
    '{"\\u0061":"x"}',
    '{"a":"x","b":1e999}',
    '{"a":"x","b":01}',
    '{"a":"x","b":1.}',
    '{"a":"x"} ',
  ])('not %s', async (text) => {
    expect(await isWritten(pair, text)).toBe(false)
  })

  test('a declared name cannot be repeated as another member', async () => {
    const open = object({ a: { const: 1 } }, { additionalProperties: true })
    expect(await isWritten(open, '{"a":1,"b":2}')).toBe(true)
    expect(await isWritten(open, '{"a":1,"a":2}')).toBe(false)
    expect(await isWritten(open, '{"b":2,"\\u0061":2}')).toBe(false)
  })

  test('U+2028 is written as an escape', async () => {
    expect(await isWritten({ const: 'a\u2028' }, '"a\\u2028"')).toBe(true)
  })
})

describe('meant types', () => {
  test('keywords without a type mean the type that they are about', async () => {
    expect(await isWritten({ properties: { a: { const: 1 } } }, '{"a":1}')).toBe(true)
    expect(await isWritten({ properties: { a: { const: 1 } } }, '1')).toBe(false)
    expect(await isWritten({ maxLength: 3, minimum: 5 }, '"abc"')).toBe(true)
    expect(await isWritten({ maxLength: 3, minimum: 5 }, '6')).toBe(true)
    expect(await isWritten({ maxLength: 3, minimum: 5 }, 'null')).toBe(false)
  })

  test('declared properties are all there are unless others are asked for', async () => {
    expect(await isWritten(object({ a: {} }), '{"a":1,"b":2}')).toBe(false)
    expect(await isWritten(object({ a: {} }, { additionalProperties: {} }), '{"a":1,"b":2}')).toBe(
      true,
    )
  })
})

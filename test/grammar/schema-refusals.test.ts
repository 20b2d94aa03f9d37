// Schemas that cannot be enforced, are broken or cannot be satisfied: refused with their place.

import { describe, expect, test } from 'bun:test'
import { prune } from '../../src/grammar/prune.ts'
import { Refusal } from '../../src/grammar/refusal.ts'
import { schemaGrammar } from '../../src/grammar/schema-compiler.ts'

const nested = (depth: number): object =>
  Array.from({ length: depth }).reduce<object>((items) => ({ type: 'array', items }), {})
const tagged = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ required: [`k${index}`] }))

describe('refused', () => {
  test.each<[schema: unknown, reason: string]>([
    [{ not: {} }, '#/not: the keyword not is not supported'],
    [{ properties: { 'a/b': { uniqueItems: true } } }, '#/properties/a~1b/uniqueItems'],
    [JSON.parse('{"if": {}, "then": {}}'), '#/if'],
    [{ dependentRequired: { a: ['b'] } }, '#/dependentRequired'],
    [{ dependentSchemas: { a: {} } }, '#/dependentSchemas'],
    [{ contains: {} }, '#/contains'],
    [{ unevaluatedProperties: false }, '#/unevaluatedProperties'],
    [{ unevaluatedItems: false }, '#/unevaluatedItems'],
    [{ $dynamicRef: '#a' }, '#/$dynamicRef'],
    [{ type: 'string', nullable: true }, '#/nullable'],
    [{ items: { anyOf: [{}, { not: {} }] } }, '#/items/anyOf/1/not'],
    [{ $ref: '#/$defs/a', $defs: { a: { not: {} } } }, '#/$defs/a/not'],
    [{ $ref: '#/$defs/b', $defs: { a: {} } }, '#/$ref: "#/$defs/b" points to nothing'],
    [{ $ref: 'https://example.com/a' }, 'references must begin with #/'],
    [{ $ref: '#anchor' }, 'references must begin with #/'],
    [{ type: 'text' }, '#/type: "text" is none of object, array'],
    [{ type: [] }, '#/type: the list of types is empty'],
    [{ enum: 'a' }, '#/enum: must be a list'],
    [{ minLength: -1 }, '#/minLength: must be an integer from 0'],
    [{ minItems: 1.5 }, '#/minItems: must be an integer from 0'],
    [{ minItems: 20_000 }, '#/minItems: is above 10000'],
    [{ minimum: '3' }, '#/minimum: must be a number'],
    [{ multipleOf: 0 }, '#/multipleOf: must be a number above 0'],
    [{ pattern: 3 }, '#/pattern: must be a string'],
    [{ type: 'string', pattern: '(?=a)' }, 'pattern "(?=a)", position'],
    [{ required: 'a' }, '#/required: must be a list of names'],
    [{ properties: [] }, '#/properties: must be an object of schemas'],
    [{ properties: { a: 3 } }, '#/properties/a: a schema must be an object or a boolean, not 3'],
    [{ anyOf: {} }, '#/anyOf: must be a list of schemas'],
    [3, '#: a schema must be an object or a boolean, not 3'],
    [nested(70), 'is more than 64 schemas deep'],
    [
      { type: 'string', pattern: 'a', minLength: 3 },
      '#: minLength or maxLength beside this pattern',
    ],
    [{ type: 'string', format: 'email', maxLength: 9 }, 'beside this format email'],
    [{ type: 'integer', multipleOf: 3 }, '#/multipleOf: needs bounds'],
    [{ type: 'number', multipleOf: 0.01 }, '#/multipleOf: must be an integer to be supported'],
    [{ oneOf: [{ type: 'integer' }, { type: 'number' }] }, '#: the schemas of oneOf may overlap'],
    [
      { oneOf: [{ properties: { a: {} } }, { type: 'string' }] },
      'the schemas of oneOf may overlap',
    ],
    [{ allOf: [{ pattern: 'a' }, { pattern: 'b' }] }, 'two schemas with a different pattern meet'],
    [{ type: 'object', minProperties: 2 }, 'minProperties 2'],
    [{ patternProperties: { a: {} }, properties: { b: {} } }, '#/patternProperties: declared'],
    [{ patternProperties: { a: {}, b: {} } }, 'more than one pattern'],
    [{ propertyNames: { pattern: 'a' }, required: ['a'] }, '#/propertyNames: declared'],
    [{ enum: [{ a: 1 }], required: ['a'] }, '#: required beside enum or const'],
    [{ allOf: [{ anyOf: tagged(20) }, { anyOf: tagged(20) }] }, 'more than 256 combinations'],
    [{ allOf: [{ $ref: '#' }], type: 'string' }, '#: refers to itself without end'],
    [{ properties: { ['n'.repeat(300)]: {} } }, '#/properties: has a name of 300 characters'],
  ])('%j', (schema, reason) => {
    expect(() => schemaGrammar(schema)).toThrow(Refusal)
    expect(() => schemaGrammar(schema)).toThrow(reason)
  })
})

describe('cannot be satisfied', () => {
  test.each<[schema: unknown]>([
    [false],
    [{ enum: [] }],
    [{ enum: ['a'], type: 'integer' }],
    [{ type: 'string', minLength: 3, maxLength: 2 }],
    [{ type: 'string', pattern: '^ab$', minLength: 3 }],
    [{ type: 'integer', minimum: 2, exclusiveMaximum: 2 }],
    [{ type: 'integer', minimum: 0.1, maximum: 0.9 }],
    [{ type: 'number', exclusiveMinimum: 1, exclusiveMaximum: 1 }],
    [{ type: 'array', minItems: 2, maxItems: 1 }],
    [{ type: 'array', items: false, minItems: 1 }],
    [{ type: 'array', prefixItems: [{ enum: [] }], minItems: 1 }],
    [{ type: 'object', properties: { a: false }, required: ['a'] }],
    [{ type: 'object', required: ['a', 'b'], maxProperties: 1 }],
    [{ type: 'object', minProperties: 1, additionalProperties: false }],
    [{ allOf: [{ type: 'string' }, { type: 'null' }] }],
    [{ anyOf: [] }],
    [{ $ref: '#' }],
    [{ type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }],
    [{ $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } } }],
  ])('%j', (schema) => {
    expect(prune(schemaGrammar(schema))).toBeUndefined()
  })
})

test('unused definitions may hold anything', () => {
  const schema = { type: 'null', $defs: { a: { not: {} }, b: 3 } }
  expect(prune(schemaGrammar(schema))).toBeDefined()
})

test('names of Object.prototype are names like others', () => {
  const names = ['constructor', 'toString', 'hasOwnProperty']
  for (const name of names) {
    const schema = JSON.parse(
      `{"${name}": 1, "allOf": [{"properties": {"${name}": {"const": 1}}}, {"required": ["${name}"]}]}`,
    )
    expect(prune(schemaGrammar(schema))).toBeDefined()
  }
  const own = JSON.parse('{"properties": {"__proto__": {"const": 1}}, "required": ["__proto__"]}')
  expect(prune(schemaGrammar(own))).toBeDefined()
})

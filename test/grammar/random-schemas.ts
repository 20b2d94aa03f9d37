// Random JSON schemas whose answers are short: about 200 characters at most, but for the few that
// refer to themselves, which get longer with ever smaller odds.

import fc from 'fast-check'

export type JsonSchema = Record<string, unknown>

/** Longest answer that a schema may have; one step of a recursive schema counts as 40 characters. */
const MAX_LENGTH = 200

const NAMES = ['id', 'name', 'a', 'größe', 'with "quote"', 'first name', 'kind', 'x-1']
const PATTERNS = ['^[a-z]{2,6}$', '^(?:north|south|east)-[0-9]{1,3}$', '^\\d+(?:\\.\\d{2})?$']
const LISTED = [1, -2.5, 'red', 'a "b"', 'naïve', true, null, [1, 'x'], { b: [null] }, '']

const bounds = (min: number, max: number) =>
  fc
    .tuple(fc.integer({ min, max }), fc.integer({ min, max }))
    .map((pair) => pair.sort((a, b) => a - b))

const strings = fc.oneof(
  bounds(0, 24).map(([minLength, maxLength]) => ({ type: 'string', minLength, maxLength })),
  fc
    .constantFrom(...PATTERNS)
    .map((pattern) => ({ type: 'string', pattern, maxLength: undefined })),
  fc
    .integer({ min: 1, max: 9 })
    .map((maxLength) => ({ type: 'string', pattern: '^[A-Za-z ]*$', maxLength })),
)

const integers = fc.oneof(
  bounds(-1200, 1200).map(([minimum, maximum]) => ({ type: 'integer', minimum, maximum })),
  bounds(-50, 50).map(([low, high]) => ({
    ...{ type: 'integer', exclusiveMinimum: low, exclusiveMaximum: high + 2 },
  })),
  fc.constant({ type: 'integer', minimum: 0, maximum: 60, multipleOf: 15 }),
  fc.constant({ type: 'integer' }),
)

const numbers = fc.oneof(
  bounds(-4000, 4000).map(([low, high]) => ({
    type: 'number',
    minimum: low / 16,
    maximum: high / 16,
  })),
  bounds(-90, 90).map(([low, high]) => ({
    ...{ type: 'number', exclusiveMinimum: low / 10, exclusiveMaximum: high / 10 + 1 },
  })),
  fc.constant({ type: 'number', minimum: 0 }),
  fc.constant({ type: 'number' }),
)

const scalars: fc.Arbitrary<JsonSchema> = fc.oneof(
  strings,
  integers,
  numbers,
  fc.constant({ type: 'boolean' }),
  fc.constant({ type: 'null' }),
  fc.constantFrom(...LISTED).map((value) => ({ const: value })),
  fc
    .uniqueArray(fc.constantFrom(...LISTED), { minLength: 1, maxLength: 4 })
    .map((values) => ({ enum: values })),
  fc.constantFrom('boolean', 'integer').map((type) => ({ type: [type, 'null'] })),
  fc.integer({ min: 1, max: 8 }).map((maxLength) => ({ type: ['string', 'null'], maxLength })),
)

function arrays(item: fc.Arbitrary<JsonSchema>): fc.Arbitrary<JsonSchema> {
  const prefix = fc.array(item, { minLength: 1, maxLength: 3 })
  return fc.oneof(
    fc.tuple(item, bounds(0, 3)).map(([items, [minItems, maxItems]]) => ({
      ...{ type: 'array', items, minItems, maxItems },
    })),
    fc.tuple(prefix, fc.integer({ min: 0, max: 3 })).map(([prefixItems, minItems]) => ({
      ...{ type: 'array', prefixItems, items: false },
      minItems: Math.min(minItems, prefixItems.length),
    })),
    fc.tuple(prefix, item).map(([prefixItems, items]) => ({
      ...{ type: 'array', prefixItems, items, minItems: 1, maxItems: prefixItems.length + 1 },
    })),
  )
}

function objects(value: fc.Arbitrary<JsonSchema>): fc.Arbitrary<JsonSchema> {
  const named = fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 4 })
  const declared = named.chain((names) =>
    fc.record({
      names: fc.constant(names),
      values: fc.tuple(...names.map(() => value)),
      required: fc.subarray(names),
      closed: fc.boolean(),
      fewest: fc.integer({ min: 0, max: names.length }),
    }),
  )
  return fc.oneof(
    {
      weight: 4,
      arbitrary: declared.map(({ names, values, required, closed }) => ({
        type: 'object',
        properties: Object.fromEntries(names.map((name, index) => [name, values[index]])),
        required,
        ...(closed ? { additionalProperties: false } : {}),
      })),
    },
    {
      weight: 1,
      arbitrary: declared.map(({ names, values, fewest }) => ({
        type: 'object',
        properties: Object.fromEntries(names.map((name, index) => [name, values[index]])),
        additionalProperties: false,
        minProperties: fewest,
        maxProperties: fewest + 1,
      })),
    },
    {
      weight: 1,
      arbitrary: value.map((values) => ({
        type: 'object',
        patternProperties: { '^[a-z]{1,4}$': values },
        additionalProperties: false,
        maxProperties: 2,
      })),
    },
    {
      weight: 1,
      arbitrary: value.map((values) => ({
        type: 'object',
        propertyNames: { enum: ['left', 'right'] },
        additionalProperties: values,
        maxProperties: 2,
      })),
    },
  )
}

function combined(value: fc.Arbitrary<JsonSchema>): fc.Arbitrary<JsonSchema> {
  return fc.oneof(
    fc.array(value, { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
    fc.tuple(value, value).map(([left, right]) => ({
      oneOf: [tagged('left', left), tagged('right', right), { type: 'null' }],
    })),
    fc.tuple(value, value).map(([left, right]) => ({
      allOf: [
        { type: 'object', properties: { left }, required: ['left'] },
        { type: 'object', properties: { right }, required: ['right'] },
      ],
    })),
  )
}

function tagged(kind: string, value: JsonSchema): JsonSchema {
  return {
    type: 'object',
    properties: { kind: { const: kind }, value },
    required: ['kind', 'value'],
  }
}

const values: fc.Arbitrary<JsonSchema> = fc.letrec<{ value: JsonSchema }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', maxDepth: 2, withCrossShrink: true },
    scalars,
    arrays(tie('value')),
    objects(tie('value')),
    combined(tie('value')),
  ),
})).value

/** Schemas with definitions: shared, and a list or tree of itself. */
const withDefinitions: fc.Arbitrary<JsonSchema> = fc.oneof(
  fc.tuple(scalars, scalars).map(([one, other]) => ({
    $defs: { one, other: { anyOf: [{ $ref: '#/$defs/one' }, other] } },
    type: 'array',
    items: { $ref: '#/$defs/other' },
    maxItems: 3,
  })),
  scalars.map((value) => ({
    $defs: {
      node: {
        type: 'object',
        properties: { value, next: { anyOf: [{ type: 'null' }, { $ref: '#/$defs/node' }] } },
        required: ['value', 'next'],
        additionalProperties: false,
      },
    },
    $ref: '#/$defs/node',
  })),
  scalars.map((value) => ({
    type: 'object',
    properties: { value, children: { type: 'array', items: { $ref: '#' }, maxItems: 1 } },
    required: ['value'],
  })),
)

/** `count` schemas, always the same for a seed. */
export function randomSchemas(seed: number, count: number): JsonSchema[] {
  const top = fc.oneof({ weight: 4, arbitrary: values }, { weight: 1, arbitrary: withDefinitions })
  const short = top
    .map((schema) => JSON.parse(JSON.stringify(schema)) as JsonSchema)
    .filter((schema) => longest(schema, schema) <= MAX_LENGTH)
  return fc.sample(short, { seed, numRuns: count })
}

/** About the length of the longest answer. */
function longest(schema: JsonSchema, root: JsonSchema): number {
  const inner = (each: unknown) => longest(each as JsonSchema, root)
  const most = (each: unknown) => Math.max(0, ...(each as unknown[]).map(inner))
  const total = (each: unknown[]) => each.reduce<number>((sum, one) => sum + inner(one) + 2, 2)
  if (typeof schema.$ref === 'string') {
    const name = /^#\/\$defs\/(?!node)(.*)/.exec(schema.$ref)?.[1]
    if (!name) return 40 + (schema.$defs ? inner((schema.$defs as JsonSchema).node) : 0)
    return inner((root.$defs as JsonSchema)[name])
  }
  if (schema.anyOf) return most(schema.anyOf)
  if (schema.oneOf) return most(schema.oneOf)
  if (schema.allOf) return total(schema.allOf as unknown[])
  if ('const' in schema) return JSON.stringify(schema.const).length
  if (schema.enum)
    return Math.max(...(schema.enum as unknown[]).map((each) => JSON.stringify(each).length))
  switch ([schema.type].flat()[0]) {
    case 'string':
      return 2 + ((schema.maxLength as number) ?? 16)
    case 'number':
    case 'integer':
      return schema.maximum === undefined && schema.exclusiveMaximum === undefined ? 40 : 17
    case 'array': {
      const {
        prefixItems = [],
        items,
        maxItems = 0,
      } = schema as { prefixItems?: unknown[]; items?: unknown; maxItems?: number }
      const rest = Math.max(0, maxItems - prefixItems.length)
      return total(prefixItems) + rest * (items ? inner(items) + 2 : 0)
    }
    case 'object': {
      const {
        properties = {},
        patternProperties = {},
        additionalProperties,
      } = schema as Record<string, JsonSchema>
      const named = Object.entries({ ...properties })
      const free = [
        ...Object.values(patternProperties),
        ...(additionalProperties ? [additionalProperties] : []),
      ]
      return (
        named.reduce((sum, [name, each]) => sum + name.length + 6 + inner(each), 2) +
        2 * total(free) +
        20
      )
    }
    default:
      return 5
  }
}

// Request bodies for fuzzing: sound ones from the routes' schemas, and what goes wrong with them.

import fc from 'fast-check'
import { z } from 'zod'
import { anyJson, arbitraryOf } from './json-schema-arbitrary.ts'

/** One body as it goes over the wire. */
export interface FuzzBody {
  text: string
  contentType: string
}

/** What a route takes. */
export interface FuzzRoute {
  schema: z.ZodType
  /** Fields that every body has before it is mutated. */
  required: readonly string[]
  /** Values for fields whose schema does not say enough: most of them sound, all of them cheap. */
  fields: Record<string, fc.Arbitrary<unknown>>
}

type Entry = [key: string, value: unknown]

/** Stands for a number that JSON.stringify cannot write. */
const INFINITE = '<1e999>'
const LONG_TEXT = 'fairy '.repeat(3000)
const BOUNDARIES = [
  ...[-1, 0, 1, 0.5, 2, 129, 2 ** 31 - 1, 2 ** 31, 2 ** 53, -(2 ** 63), 1e308, 5e-324],
  INFINITE,
]
const ODD_TEXTS = [
  ...[
    '',
    ' ',
    '\u0000',
    '\ud83d',
    '\udc00x',
    '\u202eabc',
    '👩‍👩‍👧',
    'ß'.repeat(50),
    '<s></s>',
    '\\u0000',
  ],
  ...['__proto__', 'constructor', '{"a":', '﷽', '\n\n\n', 'null'],
]
const WRONG_TYPES = [null, true, 5, 1.5, 'text', [], {}, [[]], [null], { a: { b: [] } }, '', -1]

const deep = (depth: number): unknown => (depth === 0 ? 1 : [{ a: deep(depth - 1) }])

/** What can take the place of any value. */
const replacement: fc.Arbitrary<unknown> = fc.oneof(
  fc.constant(null),
  fc.constantFrom(...WRONG_TYPES),
  fc.constantFrom(...BOUNDARIES),
  fc.constantFrom(...ODD_TEXTS),
  fc.constantFrom(LONG_TEXT, Array(2000).fill(1), deep(60)),
  anyJson,
)

const fieldName = fc.oneof(
  fc.constantFrom('user', 'metadata', 'suffix', 'tools', 'audio', 'mirostat', '__proto__', ''),
  fc.string({ maxLength: 12 }),
)

/** A change of one body: of its entry `at` as far as it has one. */
interface Mutation {
  kind: 'drop' | 'duplicate' | 'replace' | 'replaceInside' | 'add'
  at: number
  inside: number
  name: string
  value: unknown
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('drop', 'duplicate', 'replace', 'replaceInside', 'add'),
  at: fc.nat(50),
  inside: fc.nat(50),
  name: fieldName,
  value: replacement,
})

/** Bodies of a route: half as they should be, the others changed in one to three places. */
export function bodiesOf(route: FuzzRoute): fc.Arbitrary<FuzzBody> {
  const mutations = fc.oneof(fc.constant([]), {
    weight: 2,
    arbitrary: fc.array(mutation, { minLength: 1, maxLength: 3 }),
  })
  const intact = { weight: 30, arbitrary: fc.constant(undefined) }
  const damage = fc.oneof(intact, fc.double({ min: 0, max: 1, noNaN: true }))
  const labelled = { weight: 20, arbitrary: fc.constant('application/json') }
  const contentType = fc.oneof(labelled, fc.constantFrom('text/plain', 'image/png', ''))
  return fc
    .tuple(soundEntries(route), mutations, damage, contentType)
    .map(([entries, changes, cut, type]) => {
      const text = serialize(changes.reduce(mutate, entries))
      return { text: cut === undefined ? text : damaged(text, cut), contentType: type }
    })
}

/** The required fields and up to five others. */
function soundEntries({ schema, required, fields }: FuzzRoute): fc.Arbitrary<Entry[]> {
  const { properties = {} } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  const known = Object.entries(properties).map(([key, value]) => [
    key,
    arbitraryOf(value as object),
  ])
  const values: Record<string, fc.Arbitrary<unknown>> = { ...Object.fromEntries(known), ...fields }
  const others = Object.keys(values).filter((key) => !required.includes(key))
  return fc
    .subarray(others, { maxLength: Math.min(5, others.length) })
    .chain((chosen) =>
      fc.tuple(
        ...[...required, ...chosen].map((key) => values[key].map((value): Entry => [key, value])),
      ),
    )
}

function mutate(entries: Entry[], { kind, at, inside, name, value }: Mutation): Entry[] {
  const index = entries.length === 0 ? 0 : at % entries.length
  const before = entries.slice(0, index)
  const after = entries.slice(index + 1)
  const entry = entries[index]
  if (kind === 'add' || entry === undefined) return [...entries, [name, value]]
  const [key, old] = entry
  switch (kind) {
    case 'drop':
      return [...before, ...after]
    case 'duplicate':
      return [...before, entry, ...after, [key, value]]
    case 'replace':
      return [...before, [key, value], ...after]
    case 'replaceInside':
      return [...before, [key, replaceInside(old, inside, value)], ...after]
  }
}

/** Replaces a member at any depth; a value without members as a whole. */
function replaceInside(value: unknown, choice: number, by: unknown): unknown {
  if (typeof value !== 'object' || value === null) return by
  const keys = Object.keys(value)
  if (keys.length === 0) return Array.isArray(value) ? [by] : { a: by }
  const key = keys[choice % keys.length]
  const child = (value as Record<string, unknown>)[key]
  const changed = choice % 3 === 0 ? by : replaceInside(child, choice >> 1, by)
  if (Array.isArray(value)) return value.with(Number(key), changed)
  return { ...value, [key]: changed }
}

/** JSON in which a key may stand twice. */
function serialize(entries: Entry[]): string {
  const members = entries.map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`)
  return `{${members.join(', ')}}`.replaceAll(`"${INFINITE}"`, '1e999')
}

/** Cut at a share of its length, or with one character too many there. */
function damaged(text: string, share: number): string {
  const place = Math.floor(text.length * share)
  return place % 2 === 0 ? text.slice(0, place) : `${text.slice(0, place)}}${text.slice(place)}`
}

// Formats allow nothing that ajv-formats refuses, and what people write for them.

import { describe, expect, test } from 'bun:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { FORMATS } from '../../src/grammar/formats.ts'
import { prune } from '../../src/grammar/prune.ts'
import { wholeRegex } from '../../src/grammar/regex.ts'
import { matches } from './matcher.ts'
import { randomText } from './random-text.ts'
import { randomNumbers } from './walk.ts'

const ajv = new Ajv2020()
addFormats.default(ajv)

const EXAMPLES: Record<string, string[]> = {
  date: ['2024-02-29', '1999-12-31', '2000-02-29'],
  time: ['23:59:59Z', '08:30:00.125+01:00'],
  'date-time': ['2024-02-29T12:00:00Z', '1985-04-12T23:20:50.52-08:00'],
  duration: ['P3Y6M4DT12H30M5S', 'PT20M', 'P2W', 'P1D'],
  uuid: ['123e4567-e89b-12d3-a456-426614174000'],
  ipv4: ['127.0.0.1', '255.255.255.255'],
  ipv6: ['::1', '2001:db8::8a2e:370:7334', '::', 'fe80:0:0:0:0:0:0:1'],
  hostname: ['example.com', 'localhost', 'a-b.c1'],
  email: ['ada.lovelace+1@mail.example.org'],
  uri: ['https://example.com:8080/a/b?c=d&e=f#g', 'ftp://files.example.org'],
}

test('every format has examples', () => {
  expect(Object.keys(EXAMPLES).sort()).toEqual([...FORMATS.keys()].sort())
})

describe.each([...FORMATS])('%s', (format, pattern) => {
  const validate = ajv.compile({ type: 'string', format })
  const expression = wholeRegex(pattern)

  test('allows what people write', () => {
    for (const example of EXAMPLES[format]) {
      expect([example, validate(example), matches(expression, example)]).toEqual([
        example,
        true,
        true,
      ])
    }
  })

  test('allows nothing that is not valid', () => {
    const grammar = prune({ root: expression, rules: new Map() })!
    const random = randomNumbers(3)
    for (let count = 0; count < 500; count++) {
      const text = randomText(grammar, random)
      if (!validate(text)) throw new Error(`${text} is no ${format}`)
    }
  })
})

test.each(['2023-02-29', '1900-02-29', '2024-04-31', '2024-13-01'])('%s is no date', (date) => {
  expect(matches(wholeRegex(FORMATS.get('date')!), date)).toBe(false)
})

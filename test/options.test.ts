import { describe, expect, test } from 'bun:test'
import { z } from 'zod'
import { commaSeparated, describeOptions, parseOptions, truth } from '../src/options.ts'

type Env = Record<string, string>

describe("a table of one's own", () => {
  const table = {
    warmUp: {
      help: 'Warm up.',
      expects: 'true or false',
      type: truth,
      fallback: 'true',
    },
    size: {
      help: 'Size.',
      value: 'N',
      expects: 'a number',
      type: z.coerce.number(),
      fallback: '1',
    },
  }

  test.each<[string[], Env, boolean]>([
    [[], {}, true],
    [['--warm-up'], { GLAZE_WARM_UP: 'false' }, true],
    [['--no-warm-up'], {}, false],
    [['--warm-up=false'], {}, false],
    [[], { GLAZE_WARM_UP: 'false' }, false],
    [['--no-warm-up', '--warm-up'], {}, true],
  ])('boolean: %j with %j', (argv, env, expected) => {
    expect(parseOptions(table, argv, env)).toEqual({ warmUp: expected, size: 1 })
  })

  test.each<[string[], string]>([
    [['--warm-up=2'], '--warm-up is "2": expected true or false'],
    [['--no-warm-up=true'], '--no-warm-up takes no value, found "true"'],
    [['--no-warm-up=false'], '--no-warm-up takes no value'],
    [['--no-warm-up='], '--no-warm-up takes no value, found ""'],
    [['--no-size'], 'unknown flag --no-size'],
    [['folder'], 'unexpected argument "folder"'],
  ])('%j is refused', (argv, message) => {
    expect(() => parseOptions(table, argv, {})).toThrow(message)
  })

  test('its help gives usage, variable and default', () => {
    expect(describeOptions(table)).toEqual([
      '  --warm-up, --no-warm-up\n      Warm up.\n      [GLAZE_WARM_UP, default: true]',
      '  --size N\n      Size.\n      [GLAZE_SIZE, default: 1]',
    ])
  })
})

test('a list option adds up, and a secret one is not repeated', () => {
  const table = {
    pin: {
      ...{ help: 'Pins.', value: 'PIN', expects: 'digits', list: true as const },
      ...{ secret: true as const, type: commaSeparated(z.string().regex(/^\d+$/)) },
    },
  }
  expect(parseOptions(table, ['--pin', '1', '--pin=2 ,3'], {})).toEqual({ pin: ['1', '2', '3'] })
  expect(() => parseOptions(table, ['--pin', '12x'], {})).toThrow(/^--pin: expected digits$/)
  expect(() => parseOptions(table, [], { GLAZE_PIN: '12x' })).toThrow(
    /^GLAZE_PIN: expected digits$/,
  )
})

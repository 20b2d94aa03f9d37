import { describe, expect, test } from 'bun:test'
import { createLogger, type LoggerOptions } from '../src/log.ts'

function capture(options: LoggerOptions) {
  const events: string[] = []
  const log = createLogger({ ...options, write: (text) => void events.push(text) })
  return { log, events }
}

describe('JSON lines', () => {
  test('have time, level, message, then the fields', () => {
    const { log, events } = capture({ format: 'json' })
    log
      .child({ id: 'a' })
      .child({ part: 'http' })
      .warn('queue is full', { waiting: 3, x: undefined })
    expect(events[0]).toEndWith('}\n')
    const event = JSON.parse(events[0])
    expect(Object.keys(event)).toEqual(['time', 'level', 'message', 'id', 'part', 'waiting'])
    expect(event).toMatchObject({ level: 'warn', message: 'queue is full', id: 'a', waiting: 3 })
    expect(Math.abs(Date.parse(event.time) - Date.now())).toBeLessThan(10_000)
  })

  test('stay one line and keep their fixed keys, whatever the fields are', () => {
    const { log, events } = capture({ format: 'json' })
    log.error('a\nb', { level: 'debug', message: 'other', text: 'c\r\nd', big: 5n })
    expect(events[0].indexOf('\n')).toBe(events[0].length - 1)
    expect(JSON.parse(events[0])).toMatchObject({
      level: 'error',
      message: 'a\nb',
      text: 'c\r\nd',
      big: '5',
    })
  })

  test('show errors with stack and cause', () => {
    const { log, events } = capture({ format: 'json' })
    log.error('failed', { error: new Error('outer', { cause: new Error('inner') }) })
    const { error } = JSON.parse(events[0])
    expect(error).toMatch(/outer[\s\S]* at [\s\S]*caused by: [\s\S]*inner[\s\S]* at /)
  })
})

describe('text', () => {
  test('is one readable line', () => {
    const { log, events } = capture({ format: 'text' })
    log.info('request', { path: '/v1/models', status: 200, finish: { stop: 1 }, note: 'two words' })
    expect(events[0]).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} INFO {2}request path=\/v1\/models status=200 /,
    )
    expect(events[0]).toEndWith(' finish={"stop":1} note="two words"\n')
  })

  test('cannot be forged by what is logged', () => {
    const { log, events } = capture({ format: 'text' })
    log.info('a\nINFO b', { path: '/x\n00:00 ERROR', name: '\u001b[31mred\u0085\u2028' })
    expect(events[0].indexOf('\n')).toBe(events[0].length - 1)
    for (const control of ['\u001b', '\u0085', '\u2028']) expect(events[0]).not.toContain(control)
  })

  test('puts stacks on indented lines of their own', () => {
    const { log, events } = capture({ format: 'text' })
    log.error('failed', { error: new Error('boom'), id: 'a' })
    const [first, ...rest] = events[0].trimEnd().split('\n')
    expect(first).toEndWith('ERROR failed id=a')
    expect(rest[0]).toBe('  Error: boom')
    expect(rest.length).toBeGreaterThan(1)
    expect(rest.every((line) => line.startsWith('  '))).toBe(true)
  })
})

test.each([
  ['debug', ['debug', 'info', 'warn', 'error']],
  ['info', ['info', 'warn', 'error']],
  ['warn', ['warn', 'error']],
  ['error', ['error']],
] as const)('level %s writes %j', (level, expected) => {
  const { log, events } = capture({ level, format: 'json' })
  const child = log.child({ a: 1 })
  for (const own of ['debug', 'info', 'warn', 'error'] as const) child[own](own)
  expect(events.map((event) => JSON.parse(event).level)).toEqual([...expected])
})

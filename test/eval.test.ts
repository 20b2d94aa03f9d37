// `glaze eval` from its options to its figures.
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { parseCommandLine } from '../src/command-line.ts'
import { ConfigError } from '../src/errors.ts'
import { EMBEDDED_TEXT, type EvalRow } from '../src/eval.ts'
import { writeTinyModel } from './bench/tiny.ts'
import { runGlaze } from './helpers/command.ts'
import { TempFolder } from './helpers/temp-folder.ts'

const ADAPTER = process.env.GLAZE_TEST_ADAPTER || 'auto'
const FOLDER = join(import.meta.dir, '../models/checkpoints/tales-gla-5m')

describe('options', () => {
  const parse = (args: string[], env: Record<string, string> = {}) => {
    const parsed = parseCommandLine(['eval', ...args], env)
    if (parsed.command !== 'eval') throw new Error(`parsed as ${parsed.command}`)
    return parsed.options
  }

  test('defaults', () => {
    expect(parse([])).toMatchObject({
      model: undefined,
      text: undefined,
      window: 2048,
      tokens: undefined,
      quantization: ['none'],
      adapter: 'auto',
    })
  })

  test.each<[string[], Record<string, string>, object]>([
    [['m', '--text', 't'], {}, { model: 'm', text: 't' }],
    [['--quantization', 'none, int8,int4'], {}, { quantization: ['none', 'int8', 'int4'] }],
    [['--quantization=int8', '--quantization=int4'], {}, { quantization: ['int8', 'int4'] }],
    [[], { GLAZE_WINDOW: '512', GLAZE_MODEL: 'm' }, { window: 512, model: 'm' }],
    // A container sets what its server needs.
    [[], { GLAZE_HOST: '0.0.0.0', GLAZE_API_KEY: 'k' }, { model: undefined }],
  ])('%j with %j', (args, env, expected) => {
    expect(parse(args, env)).toMatchObject(expected)
  })

  test.each<[string[], Record<string, string>, string]>([
    [['--window', '0'], {}, '--window is "0": expected a whole number from 1 to'],
    [['--tokens', '1'], {}, '--tokens is "1": expected a whole number from 2'],
    [['--quantization', 'int2'], {}, 'expected one or more of none, int8 and int4'],
    [['--port', '1'], {}, 'unknown flag --port'],
    [['a', 'b'], {}, 'unexpected argument "b"'],
    [[], { GLAZE_WINDOWS: '1' }, 'unknown environment variable GLAZE_WINDOWS'],
  ])('%j with %j is refused', (args, env, message) => {
    expect(() => parse(args, env)).toThrow(ConfigError)
    expect(() => parse(args, env)).toThrow(message)
  })

  test('a server does not mind the variables of eval', () => {
    expect(parseCommandLine([], { GLAZE_WINDOW: '64' }).command).toBe('serve')
  })

  test('help says what eval takes', () => {
    const parsed = parseCommandLine(['eval', '--help'], {})
    const text = parsed.command === 'help' ? parsed.text : ''
    expect(text).toContain('glaze eval [MODEL]')
    expect(text).toContain('GLAZE_WINDOW, default: 2048')
    expect(text).not.toContain('--port')
  })
})

test('the 512-token trace of the default model', async () => {
  await using temp = await TempFolder.create()
  const json = join(temp.path, 'eval.json')
  const size = ['--window', '512', '--tokens', '513']
  const { stdout, code } = await runGlaze(['eval', ...size, '--json', json, '--adapter', ADAPTER])
  expect(code).toBe(0)
  const { long } = await Bun.file(join(FOLDER, 'golden.json')).json()
  const nats: number[] = long.nll_per_token
  const expected = Math.exp(nats.reduce((sum, each) => sum + each, 0) / nats.length)
  const report: { window: number; text: string; rows: EvalRow[] } = await Bun.file(json).json()
  expect(report).toMatchObject({ window: 512, text: 'heldout.txt' })
  const [row] = report.rows
  expect(report.rows).toHaveLength(1)
  expect(row).toMatchObject({ quantization: 'none', tokens: 512, change: 0 })
  expect(Math.abs(row.perplexity / expected - 1)).toBeLessThan(1e-4)
  expect(row.natsPerToken).toBeCloseTo(Math.log(expected), 4)
  expect(row.tokensPerSecond).toBeGreaterThan(0)
  expect(stdout).toContain(row.perplexity.toFixed(4))
}, 60_000)

test('kinds of weights are compared with the first', async () => {
  await using temp = await TempFolder.create()
  await writeTinyModel(temp.path)
  const text = join(temp.path, 'text.txt')
  await Bun.write(text, (await Bun.file(EMBEDDED_TEXT).text()).slice(0, 600))
  const json = join(temp.path, 'eval.json')
  const { stdout, code } = await runGlaze([
    ...['eval', temp.path, '--text', text, '--window', '64', '--adapter', ADAPTER],
    ...['--quantization', 'none,int8', '--json', json],
  ])
  expect(code).toBe(0)
  const { rows }: { rows: EvalRow[] } = await Bun.file(json).json()
  expect(rows.map(({ quantization }) => quantization)).toEqual(['none', 'int8'])
  expect(rows[1].weights).toBe('int8')
  expect(rows[1].tokens).toBe(rows[0].tokens)
  expect(rows[1].change).toBeCloseTo(rows[1].perplexity / rows[0].perplexity - 1, 12)
  expect(rows[1].change).not.toBe(0)
  expect(Math.abs(rows[1].change)).toBeLessThan(0.05)
  expect(stdout.split('\n').filter((line) => line.includes(' %'))).toHaveLength(2)
}, 60_000)

test.each<[string[], string]>([
  [['--text', '/nowhere/text'], '--text /nowhere/text: there is no such file'],
  [['--text', '/'], '--text /: is no file'],
])('%j ends with one line', async (args, message) => {
  const { stderr, code } = await runGlaze(['eval', ...args])
  expect(code).toBe(1)
  expect(stderr).toContain(`glaze: ${message}\n`)
})

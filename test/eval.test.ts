// `glaze eval` from its options to its figures.
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { parseCommandLine } from '../src/command-line.ts'
import { ConfigError } from '../src/errors.ts'
import { EMBEDDED_TEXT, type EvalRow } from '../src/eval.ts'
import type { ChoiceFigures, Verdict } from '../src/evaluation/choices.ts'
import type { TextFigures } from '../src/evaluation/text.ts'
import { writeTinyModel } from './bench/tiny.ts'
import { runGlaze } from './helpers/command.ts'
import { TempFolder } from './helpers/temp-folder.ts'

const ADAPTER = process.env.GLAZE_TEST_ADAPTER || 'auto'
const CHECKPOINTS = join(import.meta.dir, '../models/checkpoints')
const FOLDER = join(CHECKPOINTS, 'tales-gla-5m')
const MISTRAL = join(CHECKPOINTS, 'tales-mistral-5m')
const CHOICES = join(CHECKPOINTS, 'choices.jsonl')

type TextRow = EvalRow & TextFigures

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
      window: undefined,
      dataset: undefined,
      tokens: undefined,
      quantization: ['none'],
      adapter: 'auto',
    })
  })

  test.each<[string[], Record<string, string>, object]>([
    [['m', '--text', 't'], {}, { model: ['m'], text: 't' }],
    [['a', 'b', '--dataset', 'd', 'c'], {}, { model: ['a', 'b', 'c'], dataset: 'd' }],
    [['--model', 'a', '--model=b'], {}, { model: ['a', 'b'] }],
    [['--quantization', 'none, int8,int4'], {}, { quantization: ['none', 'int8', 'int4'] }],
    [['--quantization=int8', '--quantization=int4'], {}, { quantization: ['int8', 'int4'] }],
    [[], { GLAZE_WINDOW: '512', GLAZE_MODEL: 'm' }, { window: 512, model: ['m'] }],
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
    [['--limit', '0'], {}, '--limit is "0": expected a whole number from 1'],
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
    expect(text).toContain('glaze eval [MODEL …]')
    expect(text).toContain('GLAZE_WINDOW, default: 512')
    expect(text).not.toContain('--port')
  })
})

test('the 512-token trace of the default model', async () => {
  await using temp = await TempFolder.create()
  const json = join(temp.path, 'eval.json')
  const { stdout, code } = await runGlaze([
    ...['eval', '--tokens', '513', '--json', json, '--adapter', ADAPTER],
  ])
  expect(code).toBe(0)
  const { long } = await Bun.file(join(FOLDER, 'golden.json')).json()
  const nats: number[] = long.nll_per_token
  const expected = Math.exp(nats.reduce((sum, each) => sum + each, 0) / nats.length)
  const report = await Bun.file(json).json()
  expect(report).toMatchObject({ window: 512, text: 'heldout.txt', tokens: 513 })
  const rows: TextRow[] = report.rows
  expect(rows).toHaveLength(1)
  const [row] = rows
  expect(row).toMatchObject({ model: 'tales-gla-5m', quantization: 'none', tokens: 512 })
  expect(Math.abs(row.perplexity / expected - 1)).toBeLessThan(1e-4)
  expect(row.natsPerToken).toBeCloseTo(Math.log(expected), 4)
  // A token is 3.9 bytes of this text.
  expect(row.bitsPerByte).toBeGreaterThan(row.natsPerToken / Math.LN2 / 5)
  expect(row.bitsPerByte).toBeLessThan(row.natsPerToken / Math.LN2 / 3)
  expect(row.tokensPerSecond).toBeGreaterThan(0)
  expect(stdout).toContain(row.perplexity.toFixed(4))
}, 60_000)

test('models and kinds of weights are compared with the first', async () => {
  await using temp = await TempFolder.create()
  const tiny = join(temp.path, 'tiny')
  await writeTinyModel(tiny)
  const text = join(temp.path, 'text.txt')
  await Bun.write(text, (await Bun.file(EMBEDDED_TEXT).text()).slice(0, 600))
  const { stdout, stderr, code } = await runGlaze([
    ...['eval', tiny, FOLDER, '--text', text, '--window', '64', '--adapter', ADAPTER],
    ...['--quantization', 'none,int8', '--json', '-'],
  ])
  expect(code).toBe(0)
  // Figures on stdout, the table on stderr.
  const { rows }: { rows: TextRow[] } = JSON.parse(stdout)
  expect(rows.map(({ model, quantization }) => [model, quantization])).toEqual([
    ['tiny', 'none'],
    ['tiny', 'int8'],
    ['tales-gla-5m', 'none'],
    ['tales-gla-5m', 'int8'],
  ])
  expect(rows.map(({ tokens }) => tokens)).toEqual(Array(4).fill(rows[0].tokens))
  expect(rows[1].weights).toBe('int8')
  expect(rows[1].perplexity).not.toBe(rows[0].perplexity)
  expect(Math.abs(rows[1].perplexity / rows[0].perplexity - 1)).toBeLessThan(0.05)
  expect(rows[2].perplexity).toBeLessThan(rows[0].perplexity / 10)
  const lines = stderr.split('\n').filter((line) => line.includes(' %'))
  expect(lines).toHaveLength(4)
  const change = (100 * (rows[2].perplexity / rows[0].perplexity - 1)).toFixed(2)
  expect(lines[2]).toMatch(new RegExp(`^tales-gla-5m +none .* ${change} %`))
}, 60_000)

test('a dataset: a trained model knows what a random one guesses', async () => {
  await using temp = await TempFolder.create()
  const tiny = join(temp.path, 'tiny')
  await writeTinyModel(tiny)
  const [json, samples] = [join(temp.path, 'eval.json'), join(temp.path, 'samples.jsonl')]
  const { stdout, code } = await runGlaze([
    ...['eval', tiny, FOLDER, '--dataset', CHOICES, '--adapter', ADAPTER, '--limit', '16'],
    ...['--json', json, '--log-samples', samples],
  ])
  expect(code).toBe(0)
  const report = await Bun.file(json).json()
  expect(report).toMatchObject({ dataset: 'choices.jsonl' })
  const rows: (EvalRow & ChoiceFigures)[] = report.rows
  expect(rows.map(({ model, items }) => [model, items])).toEqual([
    ['tiny', 16],
    ['tales-gla-5m', 16],
  ])
  expect(rows[0].acc).toBeLessThan(0.7)
  expect(rows[1].acc).toBeGreaterThan(0.9)
  const verdicts: (EvalRow & Verdict)[] = (await Bun.file(samples).text())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(verdicts).toHaveLength(32)
  const trained = verdicts.filter(({ model }) => model === 'tales-gla-5m')
  expect(trained.filter(({ best, gold }) => best === gold)).toHaveLength(16 * rows[1].acc)
  expect(trained.every(({ logLikelihoods }) => logLikelihoods.every((sum) => sum < 0))).toBe(true)
  expect(stdout).toContain(`${(100 * rows[1].acc).toFixed(2)}`)
}, 60_000)

test.each<[string[], string]>([
  [['--text', '/nowhere/text'], '--text /nowhere/text: there is no such file'],
  [['--text', '/'], '--text /: is no file'],
  [['--dataset', '/nowhere/d.jsonl'], '--dataset /nowhere/d.jsonl: there is no such file'],
  [['--dataset', EMBEDDED_TEXT], `--dataset ${EMBEDDED_TEXT}, line 1: found `],
  [['--text', EMBEDDED_TEXT, '--dataset', CHOICES], '--text and --dataset: give one of them'],
  [['--dataset', CHOICES, '--window', '64'], '--window goes with --text, not with --dataset'],
  [['--limit', '3'], '--limit goes with --dataset, not with --text'],
  [['--log-samples', 'f'], '--log-samples goes with --dataset, not with --text'],
  // All models are looked at before the first is measured.
  [[FOLDER, '/nowhere/model'], '/nowhere/model'],
  [[FOLDER, MISTRAL, '--window', '2048'], '--window 2048: a window and the token before it are'],
  [[FOLDER, MISTRAL, '--revision', 'x'], '--revision x: goes with one model, not 2'],
])('%j ends with one line', async (args, message) => {
  const { stderr, code } = await runGlaze(['eval', ...args, '--adapter', ADAPTER])
  expect(code).toBe(1)
  expect(stderr).toContain(`glaze: ${message}`)
  expect(stderr.trim().split('\n')).toHaveLength(1)
})

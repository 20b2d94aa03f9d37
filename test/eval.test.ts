// `glaze eval` from its options to its figures.
import { describe, expect, test } from 'bun:test'
import { cp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseCommandLine } from '../src/command-line.ts'
import { ConfigError } from '../src/errors.ts'
import { EMBEDDED_TEXT, type EvalRow } from '../src/eval.ts'
import type { ChoiceFigures, Sample } from '../src/evaluation/choices.ts'
import type { TextFigures } from '../src/evaluation/text.ts'
import { writeTinyModel } from './bench/tiny.ts'
import { readTensors, writeSafetensors } from './helpers/checkpoints.ts'
import { runGlaze } from './helpers/command.ts'
import { COMMIT, FakeHub } from './helpers/fake-hub.ts'
import { trained } from './helpers/model.ts'
import { TempFolder } from './helpers/temp-folder.ts'

const ADAPTER = process.env.GLAZE_TEST_ADAPTER || 'auto'
const CHECKPOINTS = join(import.meta.dir, '../models/checkpoints')
const FOLDER = join(CHECKPOINTS, 'tales-gla-5m')
const MISTRAL = join(CHECKPOINTS, 'tales-mistral-5m')
const CHOICES = join(CHECKPOINTS, 'choices.jsonl')

type TextRow = EvalRow & TextFigures
type SampleRow = Pick<EvalRow, 'model' | 'quantization'> & Sample

async function samplesOf(file: string): Promise<SampleRow[]> {
  const lines = (await Bun.file(file).text()).split('\n')
  expect(lines.pop()).toBe('')
  return lines.map((line) => JSON.parse(line))
}

async function sha256Of(file: string): Promise<string> {
  return new Bun.CryptoHasher('sha256').update(await Bun.file(file).bytes()).digest('hex')
}

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
    [['--delimiter', '\n'], {}, { delimiter: '\n' }],
    [['--delimiter', ''], {}, { delimiter: '' }],
    [['--delimiter='], { GLAZE_DELIMITER: 'x' }, { delimiter: '' }],
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
    [['--quantization', 'int8,none,int8'], {}, 'separated by commas, each once'],
    [['--delimiter'], {}, '--delimiter needs a value: expected a text'],
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

test('the 512-token traces of the shipped models', async () => {
  await using temp = await TempFolder.create()
  const json = join(temp.path, 'eval.json')
  const { stdout, code } = await runGlaze([
    ...['eval', ...trained, '--tokens', '513', '--json', json, '--adapter', ADAPTER],
  ])
  expect(code).toBe(0)
  const report = await Bun.file(json).json()
  expect(report).toMatchObject({ window: 512, text: EMBEDDED_TEXT, tokens: 513 })
  expect(report.sha256).toBe(await sha256Of(EMBEDDED_TEXT))
  const rows: TextRow[] = report.rows
  expect(rows.map(({ folder }) => folder!)).toEqual(trained)
  for (const row of rows) {
    const { long } = await Bun.file(join(row.folder!, 'golden.json')).json()
    const nats: number[] = long.nll_per_token
    const expected = nats.reduce((sum, each) => sum + each, 0) / nats.length
    expect(row).toMatchObject({ quantization: 'none', tokens: 512, leftOut: 0, sameTokens: true })
    expect(Math.abs(row.natsPerToken - expected)).toBeLessThan(1e-4)
    expect(Math.abs(row.perplexity / Math.exp(expected) - 1)).toBeLessThan(1e-4)
    expect(row.bitsPerByte).toBe((row.natsPerToken * 512) / Math.LN2 / row.bytes)
    // A token is 3.3 bytes of this text's beginning.
    expect(row.bytes).toBe(1670)
    expect(row.tokensPerSecond).toBeGreaterThan(0)
    expect(stdout).toContain(row.perplexity.toFixed(4))
  }
  expect(stdout).not.toContain('left out')
}, 120_000)

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
  expect(rows.map(({ leftOut }) => leftOut)).toEqual([1, 1, 1, 1])
  expect(stderr).toContain('\n1 token at the end fills no window of 64 and was left out.\n')
}, 120_000)

test('tokens that are as many but others are not compared', async () => {
  await using temp = await TempFolder.create()
  const [tiny, other] = ['tiny', 'other'].map((name) => join(temp.path, name))
  await writeTinyModel(tiny)
  await cp(tiny, other, { recursive: true })
  const tokenizer = await Bun.file(join(other, 'tokenizer.json')).json()
  // Nothing before a text: all windows begin a token later.
  await Bun.write(
    join(other, 'tokenizer.json'),
    JSON.stringify({ ...tokenizer, post_processor: null }),
  )
  const json = join(temp.path, 'eval.json')
  const { stdout, code } = await runGlaze([
    ...['eval', tiny, other, '--tokens', '300', '--window', '64', '--json', json],
    ...['--adapter', ADAPTER],
  ])
  expect(code).toBe(0)
  const rows: TextRow[] = (await Bun.file(json).json()).rows
  expect(rows.map(({ tokens, leftOut }) => [tokens, leftOut])).toEqual([
    [256, 43],
    [256, 43],
  ])
  expect(rows.map(({ sameTokens }) => sameTokens)).toEqual([true, false])
  expect(rows[1].bytes).not.toBe(rows[0].bytes)
  expect(stdout).toMatch(/^other .* - +\d+$/m)
  expect(stdout).toContain('compare bits/byte, not perplexity')
}, 120_000)

test('a dataset: a trained model knows what a random one guesses', async () => {
  await using temp = await TempFolder.create()
  const [tiny, bare] = ['tiny', 'bare'].map((name) => join(temp.path, name))
  await writeTinyModel(tiny)
  // Where a text begins is known without this.
  await cp(tiny, bare, { recursive: true })
  await rm(join(bare, 'tokenizer_config.json'))
  const [json, samples] = [join(temp.path, 'eval.json'), join(temp.path, 'samples.jsonl')]
  await Promise.all(
    [json, samples].map((file) => Bun.write(file, 'of a run before\n'.repeat(5000))),
  )
  const { stdout, code } = await runGlaze([
    ...['eval', tiny, bare, FOLDER, '--dataset', CHOICES, '--adapter', ADAPTER, '--limit', '16'],
    ...['--json', json, '--log-samples', samples, '--max-model-len', '1000'],
  ])
  expect(code).toBe(0)
  const report = await Bun.file(json).json()
  expect(report).toMatchObject({ dataset: CHOICES, limit: 16, delimiter: ' ', maxModelLen: 1000 })
  expect(report.sha256).toBe(await sha256Of(CHOICES))
  const rows: (EvalRow & ChoiceFigures)[] = report.rows
  expect(rows.map(({ model, folder, items }) => [model, folder, items])).toEqual([
    ['tiny', tiny, 16],
    ['bare', bare, 16],
    ['tales-gla-5m', FOLDER, 16],
  ])
  expect(rows.map(({ batchInvariant }) => typeof batchInvariant)).toEqual(Array(3).fill('boolean'))
  expect(rows[0].acc).toBeLessThan(0.7)
  expect(rows[2].acc).toBeGreaterThan(0.9)
  const all = await samplesOf(samples)
  expect(all).toHaveLength(48)
  const of = (name: string) => all.filter(({ model }) => model === name)
  const figures = ({ logLikelihoods, tokens }: SampleRow) => ({ logLikelihoods, tokens })
  expect(of('bare').map(figures)).toEqual(of('tiny').map(figures))
  const known = of('tales-gla-5m')
  expect(known.filter(({ right }) => right)).toHaveLength(16 * rows[2].acc)
  expect(known.filter(({ best, gold }) => best === gold)).toHaveLength(16 * rows[2].acc)
  expect(known.filter(({ rightNorm }) => rightNorm)).toHaveLength(16 * rows[2].accNorm)
  expect(known.every(({ logLikelihoods }) => logLikelihoods.every((sum) => sum < 0))).toBe(true)
  expect(known.map(({ line }) => line)).toEqual(Array.from({ length: 16 }, (_, i) => i + 1))
  expect(known[1]).toMatchObject({
    ...{ query: 'The king had three', choices: ['slowly.', 'into.', 'sleep.', 'sons.'], gold: 3 },
    ...{ quantization: 'none', best: 3, tokens: [2, 2, 2, 2] },
  })
  expect(stdout).toContain(`${(100 * rows[2].acc).toFixed(2)}`)
}, 120_000)

test('a model of a hub is known by its commit, a folder by its path', async () => {
  await using temp = await TempFolder.create()
  const tiny = join(temp.path, 'tiny')
  await writeTinyModel(tiny)
  const contents = await Promise.all(
    (await readdir(tiny)).map(async (name) => [name, await Bun.file(join(tiny, name)).bytes()]),
  )
  using hub = new FakeHub(Object.fromEntries(contents), 'tales/tiny')
  const env = { HF_ENDPOINT: hub.endpoint, HF_HOME: join(temp.path, 'hub') }
  const { stdout, code } = await runGlaze(
    ['eval', 'tales/tiny', tiny, '--tokens', '33', '--json', '-', '--adapter', ADAPTER],
    env,
  )
  expect(code).toBe(0)
  const { rows }: { rows: TextRow[] } = JSON.parse(stdout)
  expect(rows.map(({ model, repository, commit }) => [model, repository, commit])).toEqual([
    ['tales/tiny', 'tales/tiny', COMMIT],
    ['tiny', undefined, undefined],
  ])
  expect(rows.map(({ folder }) => folder)).toEqual([undefined, tiny])
}, 120_000)

test.each(['eval', 'serve'])(
  '%s: a weight that is none is named',
  async (command) => {
    await using temp = await TempFolder.create()
    await cp(FOLDER, temp.path, { recursive: true })
    // While blocks of matrices are on their way to the GPU.
    const name = 'model.layers.0.attn_norm.weight'
    const tensors = await readTensors(FOLDER)
    const { shape } = tensors[name]
    tensors[name] = { dtype: 'F32', shape, data: new Float32Array(shape[0]).fill(Number.NaN) }
    const file = join(temp.path, 'model.safetensors')
    await writeSafetensors(file, tensors)
    const port = command === 'serve' ? ['--port', '0'] : []
    const { stderr, code } = await runGlaze([command, temp.path, ...port, '--adapter', ADAPTER])
    expect(code).toBe(1)
    expect(stderr.trim()).toBe(
      `glaze: ${file}: tensor ${name}, element 0: found NaN; weights must be finite`,
    )
  },
  60_000,
)

test.each<[string[], string]>([
  [['--text', '/nowhere/text'], '--text /nowhere/text: there is no such file'],
  [['--text', '/'], '--text /: is a folder'],
  [['--text', join(FOLDER, 'model.safetensors')], `--text ${FOLDER}/model.safetensors: is no text`],
  [['--text', '/dev/null'], '--text /dev/null: is empty'],
  [['--dataset', '/dev/null'], '--dataset /dev/null: holds no items'],
  [
    ['--dataset', join(FOLDER, 'config.json')],
    `--dataset ${FOLDER}/config.json, line 1: is not val`,
  ],
  [['--dataset', '/nowhere/d.jsonl'], '--dataset /nowhere/d.jsonl: there is no such file'],
  [['--dataset', EMBEDDED_TEXT], `--dataset ${EMBEDDED_TEXT}, line 1: is not valid JSON (`],
  [['--text', EMBEDDED_TEXT, '--dataset', CHOICES], '--text and --dataset: give one of them'],
  [['--dataset', CHOICES, '--window', '64'], '--window goes with --text, not with --dataset'],
  [['--limit', '3'], '--limit goes with --dataset, not with --text'],
  [['--delimiter', ''], '--delimiter goes with --dataset, not with --text'],
  [['--json', '/dev/null/f'], '--json /dev/null/f: cannot be written (there is no such folder)'],
  [['--json', '/dev/null/f', '/nowhere/model'], '--json /dev/null/f: cannot be written'],
  [['--log-samples', 'f'], '--log-samples goes with --dataset, not with --text'],
  // All models are looked at before the first is measured.
  [[FOLDER, '/nowhere/model'], '/nowhere/model'],
  [[FOLDER, join(FOLDER, '../tales-gla-5m/')], `MODEL ${FOLDER}`],
  [[FOLDER, MISTRAL, '--window', '2048'], '--window 2048: a window and the token before it are'],
  [[FOLDER, MISTRAL, '--revision', 'x'], '--revision x: goes with one model, not 2'],
])('%j ends with one line', async (args, message) => {
  const { stderr, code } = await runGlaze(['eval', ...args, '--adapter', ADAPTER])
  expect(code).toBe(1)
  expect(stderr).toContain(`glaze: ${message}`)
  expect(stderr.trim().split('\n')).toHaveLength(1)
})

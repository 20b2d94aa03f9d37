// Each command of the bench, run as a user runs it, on a tiny model.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { runScript } from '../helpers/command.ts'
import { TempFolder } from '../helpers/temp-folder.ts'
import { writeTinyModel } from './tiny.ts'

const ADAPTER = process.env.GLAZE_TEST_ADAPTER || 'auto'
const QUICK = ['--adapter', ADAPTER, '--rounds', '1']

let temp: TempFolder
let folder = ''

beforeAll(async () => {
  temp = await TempFolder.create()
  folder = join(temp.path, 'tiny')
  await writeTinyModel(folder)
})

afterAll(() => temp[Symbol.asyncDispose]())

function bench(...args: string[]) {
  return runScript('test/bench/main.ts', args)
}

/** Runs a command that must do well; what it wrote as JSON and on the terminal. */
async function report(...args: string[]) {
  const json = join(temp.path, `${args[0]}.json`)
  const { stdout, stderr, code } = await bench(...args, '--json', json)
  if (code !== 0) throw new Error(`bench ${args.join(' ')} ended with ${code}:\n${stderr}`)
  return { stdout, json: await Bun.file(json).json() }
}

/** What every report says of its run. */
function checkFacts(json: Record<string, unknown>, command: string): void {
  expect(json).toMatchObject({
    command,
    date: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
    driver: expect.any(String),
    clocks: expect.any(String),
    quantization: 'none',
    adapter: { software: expect.any(Boolean) },
    tuning: { variant: expect.any(String), weights: expect.any(String) },
  })
  const ceilings = json.ceilings as Record<string, number>
  expect(Object.keys(ceilings).sort()).toEqual(['copyGBs', 'dotTops', 'fmaTflops'])
  for (const ceiling of Object.values(ceilings)) expect(ceiling).toBeGreaterThan(0)
}

describe('without a model', () => {
  test('alone it lists its commands', async () => {
    const { stdout, code } = await bench()
    expect(code).toBe(0)
    const names = [...stdout.matchAll(/^ {2}([a-z-]+) {2,}\S/gm)].map(([, name]) => name)
    expect(names).toEqual([
      ...['kernels', 'decode', 'prefill', 'load', 'serve', 'http', 'long', 'make-checkpoint'],
    ])
  })

  test.each<[string[], string]>([
    [['decodes'], 'bench: there is no command "decodes"'],
    [['decode', '--rounds', '0'], 'bench: --rounds is "0": expected a whole number from 1'],
    [['decode', '--batches', '1,x'], 'bench: --batches is "1,x": expected whole numbers above 0'],
    [['prefill', '--shape', 'gla-8b'], 'bench: --shape is "gla-8b": expected one of gla-7b'],
    [['load', '--random-weights'], 'bench: unknown flag --random-weights'],
    [['make-checkpoint', '--shape', 'gla-7b'], 'bench: --out is missing: expected a folder'],
    [['kernels', '/nowhere'], 'bench: /nowhere: '],
  ])('%j is refused in one line', async (args, message) => {
    const { stderr, code } = await bench(...args)
    expect(code).toBe(1)
    expect(stderr).toStartWith(message)
    expect(stderr.trim().split('\n')).toHaveLength(1)
  })

  test('help names defaults and no variables', async () => {
    const { stdout, code } = await bench('serve', '--help')
    expect(code).toBe(0)
    expect(stdout).toContain('--batches N,N\n      Streams at once.\n      [default: 1,8,64')
    expect(stdout).not.toContain('GLAZE_')
  })
})

describe('on a tiny model', () => {
  test('kernels', async () => {
    const args = [...QUICK, '--batches', '1,3', '--prompts', '100']
    const { json, stdout } = await report('kernels', folder, ...args)
    checkFacts(json, 'kernels')
    expect(json.dispatchesPerLayer).toBeWithin(5, 15)
    expect(json.workloads.map(({ name }: { name: string }) => name)).toEqual([
      ...['decode, 1 row', 'decode, 3 rows', 'prompt of 100'],
    ])
    // Four products a layer and the head, in each kind of step.
    expect(json.checks.length).toBeGreaterThanOrEqual(15)
    for (const { worst, checked } of json.checks) {
      expect(worst).toBeWithin(0, 1.0001)
      expect(checked).toBeGreaterThan(10)
    }
    for (const { ms, dispatches, kernels } of json.workloads) {
      expect(ms).toBeGreaterThan(0)
      const uses = kernels.map((row: { uses: number }) => row.uses)
      expect(uses.reduce((a: number, b: number) => a + b)).toBe(dispatches)
    }
    expect(stdout).toContain('agree with float64 on the host')
    expect(stdout).toMatch(/\[4096, 128\] f(16|32)/)
  }, 60_000)

  test('decode', async () => {
    const { json } = await report('decode', folder, ...QUICK, '--batches', '1,2', '--tokens', '12')
    checkFacts(json, 'decode')
    expect(json.dispatchesPerLayer).toBeWithin(5, 15)
    expect(json.rows.map((row: { sequences: number }) => row.sequences)).toEqual([1, 2])
    for (const row of json.rows) {
      expect(row.submitUs).toBeGreaterThan(0)
      expect(row.tokensPerSecond).toBeCloseTo((row.sequences * 1000) / row.stepMs, 6)
      expect(row.copyShare).toBeCloseTo(row.GBs / json.ceilings.copyGBs, 9)
    }
    // One more sequence adds its state, read and written: 2 layers of 2 heads of 32 x 32 floats.
    const [one, two] = json.rows.map((row: { GBs: number; stepMs: number }) => row.GBs * row.stepMs)
    expect((two - one) * 1e6).toBeCloseTo(2 * 2 * 2 * 32 * 32 * 4, 3)
  }, 60_000)

  test('prefill', async () => {
    const { json } = await report('prefill', folder, ...QUICK, '--prompts', '64,300')
    checkFacts(json, 'prefill')
    const [short, long] = json.rows
    expect([short.tokens, long.tokens]).toEqual([64, 300])
    expect(long.workBytes).toBe(short.workBytes)
    expect(long.tokensPerSecond).toBeGreaterThan(0)
    expect(long.peakShare).toBeCloseTo(long.teraOps / json.ceilings.fmaTflops, 9)
  }, 60_000)

  test('load', async () => {
    const { json } = await report('load', folder, ...QUICK)
    checkFacts(json, 'load')
    expect(json.rows).toHaveLength(1)
    const [row] = json.rows
    expect(row.bytes).toBeGreaterThan(2e6)
    expect(row.GBs).toBeCloseTo(row.bytes / row.seconds / 1e9, 9)
    expect(row.peak).toBeGreaterThan(row.baseline)
  }, 60_000)

  test('serve', async () => {
    const { json } = await report('serve', folder, ...QUICK, '--batches', '1,3', '--tokens', '16')
    checkFacts(json, 'serve')
    expect(json.rows.map((row: { streams: number }) => row.streams)).toEqual([1, 3])
    for (const row of json.rows) {
      expect(row.ratio).toBeCloseTo(row.tokenMs / row.stepMs, 9)
      expect(row.tokensPerSecond).toBeGreaterThan(0)
      for (const { p50, p90, p99 } of [row.ttftMs, row.itlMs]) {
        expect([p50, p90, p99]).toEqual([p50, p90, p99].sort((a, b) => a - b))
        expect(p50).toBeGreaterThan(0)
      }
    }
  }, 60_000)

  test('long', async () => {
    const svg = join(temp.path, 'long.svg')
    const positions = ['--positions', '64,128', '--softmax-positions', '']
    const { json } = await report('long', folder, ...QUICK, ...positions, '--svg', svg)
    expect(json.glaze.map((row: { position: number }) => row.position)).toEqual([64, 128])
    expect(json.stateBytes).toBe(2 * 2 * 32 * 32 * 4)
    expect(await Bun.file(svg).text()).toStartWith('<svg')
  }, 60_000)

  test('a shape needs no weights', async () => {
    const args = ['--shape', 'gsa-tiny', '--batches', '1', '--tokens', '8']
    const { json } = await report('decode', ...QUICK, ...args)
    expect(json.rows).toHaveLength(1)
    expect(json.model).toBe('gsa-tiny, random weights')
  }, 60_000)
})

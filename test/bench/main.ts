// `bun run bench [MODEL]` measures a model through the engine, without HTTP: tokens per second of
// prompts and of decoding, and how long the GPU waits between steps. With --long it measures what a
// token costs far into a sequence instead, beside a softmax model of the same shape.
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { ConfigError } from '../../src/errors.ts'
import { EMBEDDED_MODEL } from '../../src/serve.ts'
import { type GapRow, measureGaps } from './gap.ts'
import { type BenchOptions, loadForBench } from './load.ts'
import { measureLong } from './long.ts'
import { type LongReport, longSvg, printBytes, printRows } from './long-report.ts'
import { measureTwin, readTwinShape } from './softmax-twin.ts'
import { measureThroughput, promptSeconds, type ThroughputRow } from './throughput.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    adapter: { type: 'string', default: 'auto' },
    kernels: { type: 'string', default: 'auto' },
    dtype: { type: 'string', default: 'auto' },
    'batch-invariant': { type: 'string' },
    rounds: { type: 'string', default: '5' },
    /** Write what was measured. */
    json: { type: 'string' },
    long: { type: 'boolean', default: false },
    /** Tokens in front of the timed ones. */
    positions: { type: 'string', default: '100,10000,100000' },
    /** The same for the softmax model, whose prompts take their length squared; empty: none. */
    'softmax-positions': { type: 'string', default: '100,1000,4000' },
    /** Draw a plot: of this run, or of an earlier one's JSON. */
    svg: { type: 'string' },
    from: { type: 'string' },
  },
})
const options: BenchOptions = {
  folder: positionals[0] ?? EMBEDDED_MODEL,
  adapter: values.adapter,
  kernels: values.kernels,
  dtype: values.dtype,
  batchInvariant: truth('batch-invariant'),
}
const [rounds] = numbers('rounds')
const date = new Date().toISOString().slice(0, 10)

if (values.from) {
  await writeSvg(await Bun.file(values.from).json())
} else if (values.long) {
  const report = await runLong()
  printBytes(report)
  await writeJson(report)
  await writeSvg(report)
} else {
  await writeJson(await runShort())
}

async function runShort() {
  await using bench = await loadForBench(options)
  const { model, loadSeconds } = bench
  const firstAnswerSeconds = loadSeconds + (await promptSeconds(model, 5, 0))
  const { gpu, tuning } = model
  console.log(`${options.folder} on ${gpu.adapter.name}, ${tuning.variant}, ${tuning.weights}`)
  console.log(
    `ready after ${loadSeconds.toFixed(2)} s, first answer ${firstAnswerSeconds.toFixed(2)} s`,
  )
  printColumns('', ['tokens/s', 'best', 'ms'])
  const rows: ThroughputRow[] = []
  for await (const row of measureThroughput(model, rounds)) {
    rows.push(row)
    printColumns(row.what, [
      row.median.toFixed(1),
      row.best.toFixed(1),
      row.milliseconds.toFixed(2),
    ])
  }
  const gaps: GapRow[] = []
  for await (const row of measureGaps(bench)) {
    if (gaps.length === 0) {
      printColumns('gaps between steps', ['step ms', 'gap µs', 'median %', 'mean %', 'GPU/host'])
    }
    gaps.push(row)
    const { sequences, stepsInFlight, stepMs, gapUs, medianShare, meanShare, clockRatio } = row
    printColumns(`${sequences} sequences, ${stepsInFlight} in flight`, [
      stepMs.toFixed(3),
      gapUs.toFixed(1),
      (100 * medianShare).toFixed(2),
      (100 * meanShare).toFixed(2),
      clockRatio.toFixed(3),
    ])
  }
  return { date, adapter: gpu.adapter, tuning, loadSeconds, firstAnswerSeconds, rows, gaps }
}

async function runLong(): Promise<LongReport> {
  const shape = await readTwinShape(options.folder)
  const softmaxPositions = numbers('softmax-positions')
  const { glaze, adapter, stateBytes } = await measureModel()
  const softmax: LongReport['softmax'] = { shape, rows: [] }
  if (softmaxPositions.length > 0) {
    const name = 'softmax model of the same shape, random weights'
    console.log(`\n${name}`)
    const long = { positions: softmaxPositions, log: console.log }
    softmax.rows = await measureTwin(options, long)
    printRows(name, softmax.rows)
  }
  return { date, model: basename(options.folder), adapter, stateBytes, glaze, softmax }
}

async function measureModel() {
  await using bench = await loadForBench(options)
  const adapter = bench.model.gpu.adapter.name
  console.log(`${options.folder} on ${adapter}`)
  const positions = numbers('positions')
  const glaze = await measureLong(bench, { positions, rounds, log: console.log })
  printRows('glaze', glaze)
  return { glaze, adapter, stateBytes: bench.model.plan.slotBytes }
}

async function writeJson(report: unknown): Promise<void> {
  if (values.json) await Bun.write(values.json, `${JSON.stringify(report, undefined, 2)}\n`)
}

async function writeSvg(report: LongReport): Promise<void> {
  if (values.svg) await Bun.write(values.svg, longSvg(report))
}

/** Whole numbers, ascending, of an option that lists them. */
function numbers(name: 'rounds' | 'positions' | 'softmax-positions'): number[] {
  const list = values[name]
    .split(',')
    .filter((part) => part.trim() !== '')
    .map(Number)
  if (list.every((value) => Number.isInteger(value) && value > 0)) return list.sort((a, b) => a - b)
  throw new ConfigError(`--${name} ${values[name]}: whole numbers above 0 are needed`)
}

function truth(name: 'batch-invariant'): boolean | undefined {
  const value = values[name]
  if (value === undefined) return undefined
  if (value === 'true' || value === 'false') return value === 'true'
  throw new ConfigError(`--${name} ${value}: true or false is needed`)
}

function printColumns(name: string, cells: readonly string[]): void {
  console.log(name.padEnd(28) + cells.map((cell) => cell.padStart(11)).join(''))
}

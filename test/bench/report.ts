// What a run of the bench says about itself, its table on the terminal and its JSON.
import { join } from 'node:path'
import { version } from '../../package.json'
import type { AdapterFacts } from '../../src/gpu/device.ts'
import type { Tuning } from '../../src/gpu/tuning.ts'
import { type Ceilings, measureCeilings } from './ceilings.ts'
import type { BenchModel, ModelFolder } from './load.ts'

const PROJECT = join(import.meta.dir, '../..')
const SMI_FIELDS = ['name', 'driver_version', 'clocks.sm', 'clocks.mem', 'power.draw'] as const

/** Where, when and with what something was measured. */
export interface RunFacts {
  date: string
  model: string
  version: string
  /** Short hash, with a plus if files had been changed; undefined outside of a repository. */
  commit: string | undefined
  adapter: AdapterFacts
  /** What the driver says of itself. */
  driver: string
  /** Of NVIDIA's own tool under load: name, driver, clocks and power of each GPU. */
  gpus: string[] | undefined
  clocks: string
  tuning: Tuning
  quantization: string
  ceilings: Ceilings
}

/** Measures the ceilings, notes the rest and prints it. */
export async function describeRun(
  { name, options }: ModelFolder,
  { model, times }: BenchModel,
  rounds: number,
): Promise<RunFacts> {
  const { gpu, tuning } = model
  const ceilings = await measureCeilings(model, times !== undefined, rounds)
  const facts: RunFacts = {
    date: new Date().toISOString().slice(0, 10),
    model: name,
    version,
    commit: commitOf(),
    adapter: gpu.adapter,
    driver: gpu.adapter.name,
    gpus: readSmi(),
    clocks: gpu.adapter.software
      ? 'a CPU: as they are'
      : 'warm: the GPU was busy without a pause for 0.6 s before each timing',
    tuning,
    quantization: options.quantization ?? 'none',
    ceilings,
  }
  const { copyGBs, fmaTflops, dotTops } = ceilings
  console.log(
    `${name} on ${facts.driver}, ${tuning.variant} kernels, ${tuning.weights} weights, ` +
      `commit ${facts.commit ?? 'unknown'}`,
  )
  for (const line of facts.gpus ?? []) console.log(line)
  console.log(
    `ceilings of this run: copy ${number(copyGBs)} GB/s, float32 fma ${number(fmaTflops)} TFLOP/s, ` +
      `int8 dot ${number(dotTops)} TOP/s\n`,
  )
  return facts
}

/** Writes what was measured, if a file was asked for. */
export async function writeReport(file: string | undefined, report: unknown): Promise<void> {
  if (file !== undefined) await Bun.write(file, `${JSON.stringify(report, undefined, 2)}\n`)
}

/** Rows under their titles, as wide as the widest cell; the first column is text, others are numbers. */
export function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = titles.map((title, column) =>
    Math.max(...[title, ...rows.map((row) => row[column])].map((cell) => cell.length)),
  )
  return [titles, ...rows]
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Three or four significant digits; a dash for what is not known. */
export function number(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '-'
  if (Math.abs(value) >= 1000) return value.toFixed(0)
  return Number(value.toPrecision(4)).toString()
}

export function percent(share: number | undefined): string {
  return share === undefined || !Number.isFinite(share) ? '-' : `${(100 * share).toFixed(1)} %`
}

/** 1536 is 1.5 KiB. */
export function byteText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const exponent = bytes > 0 ? Math.floor(Math.log2(bytes) / 10 + 1e-9) : 0
  const unit = Math.max(0, Math.min(units.length - 1, exponent))
  return `${Number((bytes / 2 ** (10 * unit)).toPrecision(3))} ${units[unit]}`
}

function commitOf(): string | undefined {
  const hash = outputOf(['git', 'rev-parse', '--short', 'HEAD'])
  if (hash === undefined) return undefined
  return outputOf(['git', 'status', '--porcelain']) === '' ? hash : `${hash}+`
}

function readSmi(): string[] | undefined {
  const query = `--query-gpu=${SMI_FIELDS.join(',')}`
  return outputOf(['nvidia-smi', query, '--format=csv,noheader'])?.split('\n')
}

/** Undefined if the program is not there or fails. */
function outputOf(command: string[]): string | undefined {
  if (Bun.which(command[0]) === null) return undefined
  const { exitCode, stdout } = Bun.spawnSync(command, { cwd: PROJECT, stderr: 'ignore' })
  return exitCode === 0 ? stdout.toString().trim() : undefined
}

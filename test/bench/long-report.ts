// The report of `bench long`: a table for people, and the plot of the README.

import type { TwinShape } from '../../models/softmax-twin.ts'
import type { LongRow } from './long.ts'
import { type Panel, plotSvg } from './plot.ts'

/** What a run of `bench long` found out; written as JSON and plotted from there. */
export interface LongReport {
  date: string
  model: string
  adapter: string
  /** Bytes of a sequence's state, whatever its length. */
  stateBytes: number
  glaze: LongRow[]
  /** A softmax model of the same shape; its rows are empty if it was not measured. */
  softmax: { shape: TwinShape; rows: LongRow[] }
}

const GREEN = '#1a7f37'
const RED = '#cf222e'
/** Lengths of the plot of bytes, in tokens. */
const SHORTEST = 64
const LONGEST = 2 ** 20
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** Prints what a sequence takes in glaze and in a softmax model's cache. */
export function printBytes({ glaze, softmax, stateBytes }: LongReport): void {
  const { bytesPerToken } = softmax.shape
  console.log(`\n${'bytes per sequence'.padEnd(20)} ${columns(['glaze', 'softmax'])}`)
  for (const { position } of glaze) {
    const cells = [byteText(stateBytes), byteText(position * bytesPerToken)]
    console.log(`${count(position).padEnd(20)} ${columns(cells)}`)
  }
  const even = Math.ceil(stateBytes / bytesPerToken)
  console.log(
    `equal at ${count(even)} tokens; a token of the softmax cache takes ${bytesPerToken} B`,
  )
}

/** Prints what a token costs at each position. */
export function printRows(name: string, rows: readonly LongRow[]): void {
  const head = columns(['ms/token', '10 %', '90 %', 'GPU ms', `to ${count(rows[0].position)}`])
  console.log(`\n${name}\n${'position'.padEnd(20)} ${head}`)
  for (const { position, milliseconds, low, high, gpuMilliseconds } of rows) {
    const cells = [milliseconds, low, high, gpuMilliseconds].map((ms) => ms?.toFixed(2) ?? '-')
    const ratio = (milliseconds / rows[0].milliseconds).toFixed(3)
    console.log(`${count(position).padEnd(20)} ${columns([...cells, ratio])}`)
  }
}

/** Memory and time against length: a flat line, and one that grows. */
export function longSvg({ glaze, softmax, stateBytes, model }: LongReport): string {
  const { bytesPerToken } = softmax.shape
  const x = { xLabel: 'tokens in the sequence', xText: tokenText }
  const name = `glaze (${model})`
  const bytes: Panel = {
    ...x,
    title: 'Memory per sequence',
    xBase: 4,
    yText: byteText,
    yBase: 16,
    series: [
      seriesOf(name, GREEN, [SHORTEST, LONGEST], () => stateBytes),
      seriesOf('softmax, same shape', RED, [SHORTEST, LONGEST], (tokens) => tokens * bytesPerToken),
    ],
  }
  const measured = [
    { name, color: GREEN, points: pointsOf(glaze) },
    { name: 'softmax, same shape', color: RED, points: pointsOf(softmax.rows) },
  ]
  const time: Panel = {
    ...x,
    title: 'Time per token',
    xBase: 10,
    yText: (ms) => `${Number(ms.toPrecision(3))} ms`,
    yBase: 2,
    series: measured.filter(({ points }) => points.length > 0),
  }
  return plotSvg([bytes, time])
}

function seriesOf(
  name: string,
  color: string,
  lengths: readonly number[],
  bytes: (tokens: number) => number,
) {
  const points = lengths.map((tokens): [number, number] => [tokens, bytes(tokens)])
  return { name, color, points, calculated: true }
}

function pointsOf(rows: readonly LongRow[]): [number, number][] {
  return rows.map(({ position, milliseconds }) => [position, milliseconds])
}

function byteText(bytes: number): string {
  const unit = Math.max(0, Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10 + 1e-9)))
  return `${Number((bytes / 2 ** (10 * unit)).toPrecision(3))} ${UNITS[unit]}`
}

/** Powers of ten in words of ten, powers of two in words of two. */
function tokenText(tokens: number): string {
  const [kilo, mega] = tokens % 1000 === 0 ? [1000, 1_000_000] : [1024, 2 ** 20]
  if (tokens >= mega) return `${tokens / mega}M`
  return tokens >= kilo ? `${tokens / kilo}k` : `${Math.round(tokens)}`
}

function count(tokens: number): string {
  return tokens.toLocaleString('en-US')
}

function columns(cells: readonly string[]): string {
  return cells.map((cell) => cell.padStart(10)).join(' ')
}

// `bench load`: from a checkpoint folder to a model that can answer.
import { loadModel } from '../../../src/engine/load.ts'
import { openModelFolder } from '../load.ts'
import { command, MODEL_OPTIONS } from '../options.ts'
import { byteText, describeRun, number, table, writeReport } from '../report.ts'
import { median } from '../statistics.ts'

const { shape, randomWeights, ...OPTIONS } = MODEL_OPTIONS

/** Milliseconds between two looks at the memory of the process. */
const LOOK_MS = 5

interface LoadRow {
  seconds: number
  /** Of the tensors, as they are stored. */
  bytes: number
  GBs: number
  /** Bytes of the process: before, and most while loading. */
  baseline: number
  peak: number
}

export const load = command(
  'seconds and GB/s from a checkpoint folder to a ready model, and the host memory on the way',
  OPTIONS,
  async (options) => {
    const from = { ...options, shape: undefined, randomWeights: false }
    await using folder = await openModelFolder(from)
    const settings: Parameters<typeof loadModel>[0] = {
      ...folder.options,
      batchInvariant: options.batchInvariant,
      maxNumBatchedTokens: options.maxNumBatchedTokens,
      maxNumSeqs: undefined,
      maxModelLen: undefined,
      stateMemory: undefined,
      prefixCacheBytes: undefined,
      prefixCacheHostBytes: undefined,
    }
    const rows: LoadRow[] = []
    for (let round = 1; round < options.rounds; round++) {
      const { row, model } = await loadOnce(settings)
      await model[Symbol.asyncDispose]()
      rows.push(row)
    }
    const { row, model } = await loadOnce(settings)
    rows.push(row)
    await using bench = {
      ...{ model, times: undefined, loadSeconds: row.seconds },
      [Symbol.asyncDispose]: () => model[Symbol.asyncDispose](),
    }
    const facts = await describeRun(folder, bench, 1)
    console.log(loadTable(rows))
    const seconds = median(rows.map((each) => each.seconds))
    const GBs = median(rows.map((each) => each.GBs))
    console.log(`median: ${number(seconds)} s, ${number(GBs)} GB/s`)
    await writeReport(options.json, { command: 'load', ...facts, seconds, GBs, rows })
  },
)

async function loadOnce(options: Parameters<typeof loadModel>[0]) {
  let bytes = 0
  Bun.gc(true)
  const baseline = process.memoryUsage.rss()
  let peak = baseline
  const look = () => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }
  const timer = setInterval(look, LOOK_MS)
  const start = performance.now()
  const onProgress = (_: number, total: number) => {
    bytes = total
    look()
  }
  try {
    const model = await loadModel({ ...options, onProgress })
    const seconds = (performance.now() - start) / 1000
    look()
    const row: LoadRow = { seconds, bytes, GBs: bytes / seconds / 1e9, baseline, peak }
    return { row, model }
  } finally {
    clearInterval(timer)
  }
}

function loadTable(rows: readonly LoadRow[]): string {
  return table(
    ['load', 'seconds', 'read', 'GB/s', 'before', 'above it at most'],
    rows.map((row, i) => [
      i === 0 ? 'first' : `${i + 1}`,
      number(row.seconds),
      byteText(row.bytes),
      number(row.GBs),
      byteText(row.baseline),
      byteText(row.peak - row.baseline),
    ]),
  )
}

// `bench serve`: what a client of the server sees, beside what a step takes on the GPU.
import { wholeNumber } from '../../../src/options.ts'
import { startServer } from '../../helpers/server.ts'
import { batchesFor, type DecodeRow, measureDecode } from '../decode.ts'
import { loadForBench, type ModelFolder, openModelFolder } from '../load.ts'
import { command, listOf, MODEL_OPTIONS, type ModelOptions } from '../options.ts'
import { describeRun, number, table, writeReport } from '../report.ts'
import { median } from '../statistics.ts'
import {
  latencies,
  type Percentiles,
  readStreams,
  type StreamRun,
  streamFigures,
} from '../streams.ts'
import { CLOCKS_MS } from '../timing.ts'
import { nameAllIds } from '../vocabulary.ts'

const STREAMS = [1, 8, 64]

const OPTIONS = {
  ...MODEL_OPTIONS,
  batches: listOf('Streams at once.', `${STREAMS.join(',')}; on CPUs up to 8`),
  tokens: {
    help: 'Tokens of each stream.',
    value: 'N',
    expects: 'a whole number from 8',
    type: wholeNumber(8, 1e6),
    fallback: '128',
  },
}

interface ServeRow {
  streams: number
  /** Milliseconds from token to token at a client while all streams run, median of the rounds. */
  tokenMs: number
  tokensPerSecond: number
  /** Milliseconds of a step: on the GPU's clock, or as the engine's caller sees it without timestamps. */
  stepMs: number
  /** tokenMs over stepMs. */
  ratio: number
  /** From a request to its first token, all streams opened at once, and from token to token. */
  ttftMs: Percentiles
  itlMs: Percentiles
}

export const serve = command(
  'time per token at 1, 8 and 64 HTTP clients, against the time of a step on the GPU',
  OPTIONS,
  async (options) => {
    await using folder = await openModelFolder(options)
    if (options.shape) await nameAllIds(folder.folder, folder.config.vocabSize)
    const { facts, steps } = await measureSteps(folder, options)
    const { software } = facts.adapter
    const rows = await measureServer(folder, options, steps, software)
    console.log(serveTable(rows))
    const { rounds, tokens } = options
    const report = { ...facts, settings: { rounds, tokens }, steps, rows }
    await writeReport(options.json, { command: 'serve', ...report })
  },
)

interface ServeBenchOptions extends ModelOptions {
  batches: number[] | undefined
  tokens: number
}

/** What the engine's steps take in this process, which gives the device back before the server runs. */
async function measureSteps(folder: ModelFolder, options: ServeBenchOptions) {
  await using bench = await loadForBench(folder.options)
  const facts = await describeRun(folder, bench, options.rounds)
  const steps: DecodeRow[] = []
  for (const sequences of batchesFor(bench.model, options.batches, STREAMS)) {
    const { copyGBs } = facts.ceilings
    steps.push(await measureDecode(bench, folder.config, copyGBs, sequences, options))
  }
  return { facts, steps }
}

async function measureServer(
  folder: ModelFolder,
  options: ServeBenchOptions,
  steps: readonly DecodeRow[],
  software: boolean,
): Promise<ServeRow[]> {
  await using server = await startServer(serverArguments(folder))
  const rows: ServeRow[] = []
  for (const { sequences, gpuMs, stepMs: hostMs } of steps) {
    await readStreams(server.url, sequences, options.tokens)
    const rounds: ReturnType<typeof streamFigures>[] = []
    const runs: StreamRun[] = []
    for (let i = 0; i < options.rounds; i++) {
      // As the steps were: after a while of work.
      const end = performance.now() + (software ? 0 : CLOCKS_MS)
      while (performance.now() < end) await readStreams(server.url, sequences, options.tokens)
      const round = await readStreams(server.url, sequences, options.tokens)
      rounds.push(streamFigures(round))
      runs.push(...round)
    }
    const stepMs = gpuMs ?? hostMs
    const tokenMs = median(rounds.map((round) => round.tokenMs))
    const tokensPerSecond = median(rounds.map((round) => round.tokensPerSecond))
    const ratio = tokenMs / stepMs
    rows.push({ streams: sequences, tokenMs, tokensPerSecond, stepMs, ratio, ...latencies(runs) })
  }
  return rows
}

/** The options of the model, as the command takes them. */
function serverArguments({ options }: ModelFolder): string[] {
  const { folder, adapter, kernels, dtype, quantization = 'none' } = options
  const { batchInvariant, maxNumBatchedTokens, randomWeights } = options
  return [
    ...[folder, '--adapter', adapter, '--kernels', kernels, '--dtype', dtype],
    ...['--max-num-batched-tokens', String(maxNumBatchedTokens), '--log-level', 'warn'],
    ...(quantization === 'none' ? [] : ['--quantization', quantization]),
    ...(batchInvariant === undefined ? [] : [`--batch-invariant=${batchInvariant}`]),
    ...(randomWeights ? ['--random-weights'] : []),
  ]
}

function serveTable(rows: readonly ServeRow[]): string {
  return table(
    [
      'streams',
      'tokens/s',
      'ms a token',
      'step ms',
      'ratio',
      'TTFT p50, p90, p99',
      'ITL p50, p90, p99',
    ],
    rows.map((row) => [
      `${row.streams}`,
      number(row.tokensPerSecond),
      number(row.tokenMs),
      number(row.stepMs),
      number(row.ratio),
      threeOf(row.ttftMs),
      threeOf(row.itlMs),
    ]),
  )
}

/** Milliseconds. */
function threeOf({ p50, p90, p99 }: Percentiles): string {
  return [p50, p90, p99].map(number).join(', ')
}

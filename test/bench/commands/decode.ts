// `bench decode`: tokens per second of sequences that decode together.
import { openGrammars } from '../../../src/grammar/grammars.ts'
import type { GuideFactory } from '../../../src/grammar/guide.ts'
import { truth, wholeNumber } from '../../../src/options.ts'
import {
  batchesFor,
  type DecodeOptions,
  type DecodeRow,
  dispatchesPerLayer,
  measureDecode,
} from '../decode.ts'
import { type BenchModel, loadForBench, openModelFolder } from '../load.ts'
import { command, listOf, MODEL_OPTIONS } from '../options.ts'
import { describeRun, number, percent, table, writeReport } from '../report.ts'

const BATCHES = [1, 2, 4, 8, 16, 32, 64]
/** A format that does not end within the tokens that are measured. */
const LONG_LIST = { type: 'array', items: { type: 'string' }, minItems: 1000 }

const OPTIONS = {
  ...MODEL_OPTIONS,
  batches: listOf('Sequences at once.', `${BATCHES.join(',')}; on CPUs up to 8`),
  tokens: {
    help: 'Tokens that each sequence decodes.',
    value: 'N',
    expects: 'a whole number from 8',
    type: wholeNumber(8, 1e6),
    fallback: '64',
  },
  stepsInFlight: {
    help: 'Steps on the GPU at once; with 1 it waits for the host after each.',
    value: 'N',
    expects: '1, 2 or 3',
    type: wholeNumber(1, 3),
    fallback: '2',
  },
  guided: {
    help: 'Answers are JSON by a schema: each token waits for its mask.',
    expects: 'true or false',
    type: truth,
    fallback: 'false',
  },
}

export const decode = command(
  'tokens/s of 1 to 64 sequences, share of the copy bandwidth, CPU time and gaps of a step',
  OPTIONS,
  async (options) => {
    await using folder = await openModelFolder(options)
    await using bench = await loadForBench(folder.options)
    const facts = await describeRun(folder, bench, options.rounds)
    const perLayer = dispatchesPerLayer(bench.model)
    console.log(`${number(perLayer)} dispatches a layer for one sequence`)
    using guides = options.guided ? await compileGuide(bench) : undefined
    const decodeOptions: DecodeOptions = { ...options, guide: guides?.guide }
    const rows: DecodeRow[] = []
    for (const sequences of batchesFor(bench.model, options.batches, BATCHES)) {
      const { copyGBs } = facts.ceilings
      rows.push(await measureDecode(bench, folder.config, copyGBs, sequences, decodeOptions))
    }
    console.log(decodeTable(rows))
    const { tokens, stepsInFlight, guided, rounds } = options
    const settings = { tokens, stepsInFlight, guided, rounds }
    await writeReport(options.json, {
      ...{ command: 'decode', ...facts, settings, dispatchesPerLayer: perLayer, rows },
    })
  },
)

export function decodeTable(rows: readonly DecodeRow[]): string {
  return table(
    ['sequences', 'tokens/s', 'best', 'step ms', 'GPU ms', 'gap µs', 'CPU µs', 'GB/s', 'of copy'],
    rows.map((row) => [
      `${row.sequences}`,
      number(row.tokensPerSecond),
      number(row.best),
      number(row.stepMs),
      number(row.gpuMs),
      number(row.gapUs),
      number(row.submitUs),
      number(row.GBs),
      percent(row.copyShare),
    ]),
  )
}

async function compileGuide({ model }: BenchModel): Promise<Disposable & { guide: GuideFactory }> {
  const grammars = openGrammars({
    tokenizer: model.tokenizer,
    vocabSize: model.decoder.vocabSize,
    eosTokenIds: model.generationConfig.eosTokenIds,
  })
  const guide = await grammars.compile({ kind: 'json_schema', schema: LONG_LIST }, 'schema')
  return { guide, [Symbol.dispose]: () => grammars[Symbol.dispose]() }
}

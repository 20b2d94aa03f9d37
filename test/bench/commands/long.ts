// `bench long`: what a token costs far into a sequence, beside a softmax model of the same shape.

import { twinShape } from '../../../models/softmax-twin.ts'
import { text } from '../../../src/options.ts'
import { loadForBench, type ModelFolder, openModelFolder } from '../load.ts'
import { measureLong } from '../long.ts'
import { type LongReport, longSvg, printBytes, printRows } from '../long-report.ts'
import { command, MODEL_OPTIONS, numberList } from '../options.ts'
import { writeReport } from '../report.ts'
import { measureTwin } from '../softmax-twin.ts'

const OPTIONS = {
  ...MODEL_OPTIONS,
  positions: {
    help: 'Tokens in front of the timed ones.',
    value: 'N,N',
    expects: 'whole numbers above 0 with commas between them',
    type: numberList.refine((positions) => positions.length > 0),
    fallback: '100,10000,100000',
  },
  softmaxPositions: {
    help: 'The same for the softmax model, whose prompts take their length squared; empty: none.',
    value: 'N,N',
    expects: 'whole numbers above 0 with commas between them',
    type: numberList,
    fallback: '100,1000,4000',
  },
  svg: {
    help: 'File to draw a plot to.',
    value: 'FILE',
    expects: 'a file',
    type: text.optional(),
    otherwise: 'none',
  },
  from: {
    help: 'Draw the plot of this earlier --json and measure nothing.',
    value: 'FILE',
    expects: 'a file',
    type: text.optional(),
    otherwise: 'measure',
  },
}

export const long = command(
  'milliseconds a token at 100 to 100,000 tokens, beside softmax attention; --svg draws it',
  OPTIONS,
  async (options) => {
    if (options.from) {
      await writeSvg(options.svg, await Bun.file(options.from).json())
      return
    }
    const { positions, softmaxPositions, rounds } = options
    await using folder = await openModelFolder(options)
    const { glaze, adapter, stateBytes } = await measureModel(folder, positions, rounds)
    const softmax: LongReport['softmax'] = { shape: twinShape(folder.config), rows: [] }
    if (softmaxPositions.length > 0) {
      const name = 'softmax model of the same shape, random weights'
      console.log(`\n${name}`)
      softmax.rows = await measureTwin(folder.options, {
        positions: softmaxPositions,
        log: console.log,
      })
      printRows(name, softmax.rows)
    }
    const date = new Date().toISOString().slice(0, 10)
    const report: LongReport = { date, model: folder.name, adapter, stateBytes, glaze, softmax }
    printBytes(report)
    await writeReport(options.json, report)
    await writeSvg(options.svg, report)
  },
)

async function measureModel(folder: ModelFolder, positions: readonly number[], rounds: number) {
  await using bench = await loadForBench(folder.options)
  const adapter = bench.model.gpu.adapter.name
  console.log(`${folder.name} on ${adapter}`)
  const glaze = await measureLong(bench, { positions, rounds, log: console.log })
  printRows('glaze', glaze)
  return { glaze, adapter, stateBytes: bench.model.plan.slotBytes }
}

async function writeSvg(file: string | undefined, report: LongReport): Promise<void> {
  if (file) await Bun.write(file, longSvg(report))
}

// `bench prefill`: tokens per second of prompts, and the memory that they take while they are read.

import { layerWeights } from '../../../models/tensor-shapes.ts'
import type { LoadedModel } from '../../../src/engine/load.ts'
import { invariant } from '../../../src/errors.ts'
import { isQuantized } from '../../../src/gpu/matrix.ts'
import { loadForBench, openModelFolder } from '../load.ts'
import { command, listOf, MODEL_OPTIONS } from '../options.ts'
import { byteText, describeRun, number, percent, table, writeReport } from '../report.ts'
import { median } from '../statistics.ts'
import { promptSeconds, repeat } from '../throughput.ts'

const PROMPTS = [512, 2048, 8192]
const LONGEST_ON_CPUS = 2048

const OPTIONS = {
  ...MODEL_OPTIONS,
  prompts: listOf('Tokens of the prompts.', `${PROMPTS.join(',')}; on CPUs up to 2048`),
}

interface PrefillRow {
  tokens: number
  /** Until the first token, median; tokens per second, median and best. */
  seconds: number
  tokensPerSecond: number
  best: number
  /** Operations of the layers' products, in 10^12 per second, and of what the device can do. */
  teraOps: number
  peakShare: number
  /** GPU memory beside weights, states and prefix states. */
  workBytes: number
}

export const prefill = command(
  'tokens/s of prompts of 512 to 8,192 tokens, share of the arithmetic peak, working memory',
  OPTIONS,
  async (options) => {
    await using folder = await openModelFolder(options)
    await using bench = await loadForBench(folder.options)
    const { model } = bench
    const facts = await describeRun(folder, bench, options.rounds)
    const { fmaTflops, dotTops } = facts.ceilings
    const peak = isQuantized(model.tuning.weights) ? dotTops : fmaTflops
    const operations = 2 * layerWeights(folder.config)
    const longest = Math.min(
      model.gpu.adapter.software ? LONGEST_ON_CPUS : Number.POSITIVE_INFINITY,
      (model.maxLength ?? Number.POSITIVE_INFINITY) - 1,
    )
    const rows: PrefillRow[] = []
    for (const tokens of options.prompts ?? PROMPTS.filter((length) => length <= longest)) {
      // A prompt must not begin like one before it, whose state may have been kept.
      let seed = 7919 * tokens
      const seconds = await repeat(bench.model, options.rounds, async () => {
        // What warms the clocks may begin like itself.
        const before = model.engine.stats().prefixCache.readTokens
        const time = await promptSeconds(bench, tokens, seed++)
        const known = model.engine.stats().prefixCache.readTokens - before
        invariant(known === 0, `${known} tokens of a prompt were not computed`)
        return time
      })
      const tokensPerSecond = tokens / median(seconds)
      const teraOps = (operations * tokensPerSecond) / 1e12
      rows.push({
        tokens,
        seconds: median(seconds),
        tokensPerSecond,
        best: tokens / Math.min(...seconds),
        teraOps,
        peakShare: teraOps / peak,
        workBytes: workBytes(model),
      })
    }
    console.log(`slices of up to ${options.maxNumBatchedTokens} tokens`)
    console.log(prefillTable(rows))
    const { rounds, maxNumBatchedTokens } = options
    const settings = { rounds, maxNumBatchedTokens }
    await writeReport(options.json, { command: 'prefill', ...facts, settings, rows })
  },
)

function prefillTable(rows: readonly PrefillRow[]): string {
  return table(
    ['prompt', 'tokens/s', 'best', 'ms', 'TOP/s', 'of peak', 'working memory'],
    rows.map((row) => [
      `${row.tokens}`,
      number(row.tokensPerSecond),
      number(row.best),
      number(row.seconds * 1000),
      number(row.teraOps),
      percent(row.peakShare),
      byteText(row.workBytes),
    ]),
  )
}

/** Activations, tables and readbacks: what is in GPU buffers now and is no weight and no state. */
function workBytes({ buffers, plan, decoder }: LoadedModel): number {
  const states = plan.slots * plan.slotBytes + plan.snapshots * plan.snapshotBytes
  return buffers.bytes - decoder.weightBytes - states
}

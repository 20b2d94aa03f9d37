// Figures of decoding: tokens per second, and what a step costs the GPU and the host.
import type { ModelConfig } from '../../models/config.ts'
import type { LoadedModel } from '../../src/engine/load.ts'
import type { StepCounts } from '../../src/gpu/program.ts'
import type { GuideFactory } from '../../src/grammar/guide.ts'
import { gapsOf } from './gap.ts'
import { instrument } from './instrument.ts'
import type { BenchModel } from './load.ts'
import { median } from './statistics.ts'
import { activeDispatches, isOutsideLayers } from './step-dispatches.ts'
import { decodeSeconds, repeat } from './throughput.ts'
import { decodeBytes } from './weight-bytes.ts'

/** Sequences at once that CPUs are not past their limit with. */
const MOST_ON_CPUS = 8
/** Steps in front, which hold prompts or wait for the queue to fill. */
const FIRST_STEPS = 4

export interface DecodeRow {
  sequences: number
  /** Median of the rounds, and best of them. */
  tokensPerSecond: number
  best: number
  /** Milliseconds of a step as the engine's caller sees it, median. */
  stepMs: number
  /** The same on the GPU's clock, and the time in which it waited for the next; without timestamps undefined. */
  gpuMs: number | undefined
  gapUs: number | undefined
  /** Microseconds of CPU to write, encode and submit a step, median. */
  submitUs: number
  /** Weights and states that a step reads and writes, in 10^9 per second, and of what a copy moves. */
  GBs: number
  copyShare: number
}

export interface DecodeOptions {
  rounds: number
  /** Tokens of each sequence. */
  tokens: number
  stepsInFlight?: number
  guide?: GuideFactory
}

/** The numbers of sequences that a model on this adapter can be measured with. */
export function batchesFor(
  { plan, gpu }: LoadedModel,
  wanted: readonly number[] | undefined,
  usual: readonly number[],
): number[] {
  const most = gpu.adapter.software ? MOST_ON_CPUS : Number.POSITIVE_INFINITY
  const batches = wanted ?? usual.filter((sequences) => sequences <= most)
  return batches.filter((sequences) => sequences <= plan.slots)
}

export async function measureDecode(
  bench: BenchModel,
  config: ModelConfig,
  copyGBs: number,
  sequences: number,
  { rounds, tokens, stepsInFlight, guide }: DecodeOptions,
): Promise<DecodeRow> {
  const { engine, submitUs } = instrument(bench.model, stepsInFlight)
  const gaps: ReturnType<typeof gapsOf>[] = []
  const submits: number[] = []
  const steps = tokens - 1
  const { gpu, runner } = bench.model
  const decode = () => decodeSeconds(engine, sequences, tokens, guide)
  // Reading the GPU's clock makes the gaps between steps longer: speed is measured without it.
  runner.timed = false
  const seconds = await repeat({ gpu, engine }, rounds, async () => {
    submitUs.length = 0
    const time = await decode()
    submits.push(...submitUs.slice(FIRST_STEPS))
    return time
  })
  runner.timed = true
  const { times } = bench
  if (times) {
    await repeat({ gpu, engine }, rounds, async () => {
      times.length = 0
      const time = await decode()
      const measured = times.slice(FIRST_STEPS)
      if (measured.length > 1) gaps.push(gapsOf(measured))
      return time
    })
  }
  await engine.close()
  const stepMs = (median(seconds) * 1000) / steps
  const bytes = decodeBytes(config, bench.model, sequences)
  const GBs = bytes / stepMs / 1e6
  const known = gaps.length > 0
  return {
    sequences,
    tokensPerSecond: (sequences * 1000) / stepMs,
    best: (sequences * steps) / Math.min(...seconds),
    stepMs,
    gpuMs: known ? median(gaps.map((each) => each.stepMs)) : undefined,
    gapUs: known ? median(gaps.map((each) => each.gapUs)) : undefined,
    submitUs: median(submits),
    GBs,
    copyShare: GBs / copyGBs,
  }
}

/** Dispatches that each layer takes to decode one sequence, on average over the layers. */
export function dispatchesPerLayer({ decoder }: Pick<LoadedModel, 'decoder'>): number {
  const counts: StepCounts = {
    tokens: 1,
    decodes: 1,
    segments: 1,
    chunks: 0,
    logitRows: 1,
    samples: 1,
  }
  const inside = activeDispatches(decoder.program, counts).filter((each) => !isOutsideLayers(each))
  return inside.length / decoder.layers
}

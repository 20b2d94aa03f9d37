// How long the GPU waits between the steps of decoding, on its own clock.
import { GlazeEngine } from '../../src/engine/engine.ts'
import type { StepTime } from '../../src/gpu/step-clock.ts'
import { type BenchModel, generate, warmClocks } from './load.ts'
import { median, sum } from './statistics.ts'

const BATCHES = [1, 8]
const STEPS_IN_FLIGHT = [2, 1]
/** Measured steps, behind some that let the queue fill. */
const STEPS = 200
const FIRST_STEPS = 10

export interface Gaps {
  steps: number
  /** Milliseconds of a step on the GPU, median. */
  stepMs: number
  /** Microseconds from the end of one step to the beginning of the next, median. */
  gapUs: number
  /** A gap as a share of the step before it: median, and all gaps over all steps. */
  medianShare: number
  meanShare: number
}

export interface GapRow extends Gaps {
  sequences: number
  stepsInFlight: number
  /** Time that passed on the GPU's clock over that on the host's; far from 1, no row holds. */
  clockRatio: number
}

/** Gaps between the steps of decoding; nothing for adapters that do not tell when steps run. */
export async function* measureGaps({ model, times }: BenchModel): AsyncGenerator<GapRow> {
  if (times === undefined) return
  const { runner, admission, options } = model.engine
  for (const sequences of BATCHES) {
    if (sequences > model.plan.slots) continue
    for (const stepsInFlight of STEPS_IN_FLIGHT) {
      const engine = new GlazeEngine(runner, admission, { ...options, stepsInFlight })
      await warmClocks(engine)
      times.length = 0
      const arrivals = await decode(engine, sequences)
      // Steps of the warm-up may have come in late, in front of these.
      const measured = times.slice(-STEPS)
      const hostMs = arrivals[arrivals.length - 1] - arrivals[FIRST_STEPS]
      const gpuMs = milliseconds(measured[0].end, measured[measured.length - 1].end)
      yield { sequences, stepsInFlight, clockRatio: gpuMs / hostMs, ...gapsOf(measured) }
      await engine.close()
    }
  }
}

/** Figures of steps that followed each other. */
export function gapsOf(times: readonly StepTime[]): Gaps {
  const steps = times.map(({ begin, end }) => milliseconds(begin, end))
  const gaps = times.slice(1).map(({ begin }, i) => milliseconds(times[i].end, begin))
  return {
    steps: steps.length,
    stepMs: median(steps),
    gapUs: median(gaps) * 1000,
    medianShare: median(gaps.map((gap, i) => gap / steps[i])),
    meanShare: sum(gaps) / sum(steps.slice(0, -1)),
  }
}

/** Decodes sequences together; when the tokens of the first one arrived, in milliseconds. */
async function decode(engine: GlazeEngine, sequences: number): Promise<number[]> {
  const arrivals: number[] = []
  await Promise.all(
    Array.from({ length: sequences }, async (_, i) => {
      for await (const _ of generate(engine, [1, 400 + i], FIRST_STEPS + STEPS)) {
        if (i === 0) arrivals.push(performance.now())
      }
    }),
  )
  return arrivals
}

/** From nanoseconds on the GPU's clock. */
function milliseconds(from: bigint, to: bigint): number {
  return Number(to - from) / 1e6
}

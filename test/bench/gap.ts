// How long the GPU waits between the steps of decoding, on its own clock.
import type { StepTime } from '../../src/gpu/step-clock.ts'
import { median, sum } from './statistics.ts'

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

/** Figures of two or more steps that followed each other. */
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

/** From nanoseconds on the GPU's clock. */
function milliseconds(from: bigint, to: bigint): number {
  return Number(to - from) / 1e6
}

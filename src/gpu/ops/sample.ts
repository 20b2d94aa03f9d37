// Sampling and scoring of logits on the device.
import { kernels } from '../../../kernels/index.ts'
import { invariant } from '../../errors.ts'
import type { BufferRange } from '../buffers.ts'
import { fold } from '../grid.ts'
import type { Plan } from '../program.ts'
import type { StepTables } from '../step.ts'
import type { Tuning } from '../tuning.ts'

/** Words of one row of results. */
export const RESULT_WORDS = 44

/** Sums of weights are exact up to this many tokens. */
const MAX_VOCABULARY = 2 ** 18

export interface SampleOptions {
  step: StepTables
  /** [logitRows, vocabSize] f32 */
  logits: BufferRange
  vocabSize: number
  /** [slots, vocabSize] f32: added to the logits of rows that are `biased`. */
  bias: BufferRange
  /** [slots, ceil(vocabSize / 32)] u32: token i may be drawn if bit i % 32 of word i / 32 is set. */
  masks: BufferRange
  /**
   * [slots, vocabSize] u32: bit 31 is set for tokens of the prompt, the rest counts how often the
   * token was drawn. Rows with penalties read it and count what they draw.
   */
  history: BufferRange
  /** [slots] u32: the token drawn last. */
  sampled: BufferRange
  /**
   * [samples, RESULT_WORDS] u32: id; flags (1: a logit is NaN or infinite, 2: no token is allowed;
   * the id drawn is 0 then); log-probability of the id, f32; tokens it was drawn from; MAX_TOP ids
   * and MAX_TOP log-probabilities, f32, of the best tokens, best first. Log-probabilities are those
   * of the raw logits; the id of a place beyond the vocabulary is 2^32 - 1. What a row does not ask
   * for is left as it is.
   */
  results: BufferRange
  /** Invocations that a workgroup may have on the device; 256 if left out, which all allow. */
  maxInvocations?: number
}

/**
 * Draws or scores one token for each sample row of the step: kernels/sample.wgsl. Two rows that draw
 * in one step are of different slots.
 */
export function sample(tuning: Tuning, options: SampleOptions): Plan[] {
  const { step, vocabSize, logits, bias, masks, history, sampled, results } = options
  invariant(vocabSize <= MAX_VOCABULARY, `${vocabSize} tokens, at most ${MAX_VOCABULARY}`)
  const workgroup = tuning.variant === 'subgroup' ? widest(options.maxInvocations) : 4
  const { counts, samples } = step
  return [
    {
      kernel: kernels.sample,
      params: { VARIANT: tuning.variant, WORKGROUP: workgroup, VOCABULARY: vocabSize },
      bindings: { counts, samples, logits, bias, masks, history, sampled, results },
      grid: ({ samples }) => fold(samples),
    },
  ]
}

/**
 * A row of 32,000 tokens with top-p takes 89 us with 256 invocations, 54 us with 1024 (H100, 2026-11). A
 * multiple of every subgroup size, and more than one subgroup of 128.
 */
function widest(maxInvocations = 256): number {
  return maxInvocations >= 1024 ? 1024 : 256
}

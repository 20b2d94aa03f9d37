// The decode rows of a GLA layer between its two products, in one dispatch.
import { kernels } from '../../../kernels/index.ts'
import { invariant } from '../../errors.ts'
import type { Activations } from '../activations.ts'
import type { BufferRange } from '../buffers.ts'
import { isQuantized, QUANT_GROUP } from '../matrix.ts'
import type { Plan } from '../program.ts'
import type { StepTables } from '../step.ts'
import type { Tuning } from '../tuning.ts'
import type { GlaFeatureMap } from './prepare.ts'
import { inBlocks } from './recurrent.ts'
import { sweepFits, sweepParams } from './sweep.ts'

/** What decides whether a layer can take the fused step. */
export interface GlaStepShape {
  heads: number
  kvHeads: number
  keyDim: number
  valueDim: number
  gateRank: number
}

export interface GlaStepOptions extends GlaStepShape {
  step: StepTables
  /**
   * [tokens, stride] f32: q [heads, keyDim] | k [kvHeads, keyDim] | v [kvHeads, valueDim] | gate
   * inputs [gateRank] | output gates [heads, valueDim], if `outputGate`.
   */
  p: BufferRange
  stride: number
  featureMap: GlaFeatureMap
  /** [kvHeads · keyDim, gateRank] f32 */
  gateUp: BufferRange
  /** [kvHeads · keyDim] f32 */
  gateBias: BufferRange
  gateNormalizer: number
  /** Least log gate; undefined for none. */
  clampMin: number | undefined
  /** Slot s starts at float s · slotStride of this range: [kvHeads, keyDim, valueDim] f32. */
  state: BufferRange
  slotStride: number
  scale: number
  /** Of each head's norm: [valueDim] f32, or undefined for none. */
  weight: BufferRange | undefined
  eps: number
  outputGate: boolean
  /** [tokens, heads, valueDim] */
  y: Activations
}

/** Whether `glaStep` serves layers of this shape here; the separate kernels serve all. */
export function glaStepFits(tuning: Tuning, shape: GlaStepShape): boolean {
  const { valueDim, gateRank } = shape
  const groups = !isQuantized(tuning.weights) || valueDim % QUANT_GROUP === 0
  return groups && gateRank % 4 === 0 && sweepFits(tuning, sweepOf(shape))
}

/**
 * Moves the slots of decode segments on by one token and writes rows 0 … decodes-1 of y: what
 * prepareGla, recurrent and rmsNorm would. A row does not depend on other rows.
 * kernels/gla_step.wgsl.
 */
export function glaStep(tuning: Tuning, options: GlaStepOptions): Plan[] {
  const { step, heads, kvHeads, keyDim, valueDim, weight, y, clampMin } = options
  invariant(
    glaStepFits(tuning, options) && inBlocks(options.slotStride) === 'yes',
    `no fused GLA step for ${heads} heads over ${kvHeads} of ${keyDim} x ${valueDim}`,
  )
  return [
    {
      kernel: kernels.glaStep,
      params: {
        ...sweepParams(sweepOf(options)),
        HEADS: heads,
        KV_HEADS: kvHeads,
        K: keyDim,
        V: valueDim,
        SCALE: options.scale,
        STRIDE: options.stride,
        GATE_RANK: options.gateRank,
        SLOT_STRIDE: options.slotStride,
        FEATURE_MAP: options.featureMap,
        NORMALIZER: options.gateNormalizer,
        CLAMP: clampMin === undefined ? 'none' : 'min',
        CLAMP_MIN: clampMin ?? 0,
        EPS: options.eps,
        WEIGHT: weight ? 'vector' : 'none',
        OUTPUT_GATE: options.outputGate ? 'silu' : 'none',
        OUTPUT: y.type,
      },
      bindings: {
        segments: step.segments,
        state: options.state,
        p: options.p,
        gate_up: options.gateUp,
        gate_bias: options.gateBias,
        y: y.range,
        ...(weight && { weight }),
        ...(y.type === 'int8' && { scales: y.scales }),
      },
      grid: ({ decodes }) => (decodes > 0 ? [kvHeads, decodes, 1] : undefined),
    },
  ]
}

function sweepOf({ heads, kvHeads, keyDim, valueDim }: GlaStepShape) {
  return { heads, kvHeads, sweeps: [{ rows: keyDim, columns: valueDim }] }
}

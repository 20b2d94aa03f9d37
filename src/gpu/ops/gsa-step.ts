// The decode rows of a GSA layer from its first product to its norm, in one dispatch.
import { kernels } from '../../../kernels/index.ts'
import { invariant } from '../../errors.ts'
import type { BufferRange } from '../buffers.ts'
import type { Plan } from '../program.ts'
import type { StepTables } from '../step.ts'
import type { Tuning } from '../tuning.ts'
import type { GsaFeatureMap } from './prepare.ts'
import { inBlocks } from './recurrent.ts'
import { sweepFits, sweepParams } from './sweep.ts'

/** What decides whether a layer can take the fused step. */
export interface GsaStepShape {
  heads: number
  kvHeads: number
  keyDim: number
  valueDim: number
  slots: number
  featureMap: GsaFeatureMap
}

export interface GsaStepOptions extends GsaStepShape {
  step: StepTables
  /**
   * [tokens, stride] f32: q [heads, keyDim] | k [kvHeads, keyDim] | v [kvHeads, valueDim] | slot
   * gates [kvHeads, slots].
   */
  p: BufferRange
  stride: number
  gateNormalizer: number
  /**
   * Slot s starts at float s · slotStride of this range: keys [kvHeads, keyDim, slots], and
   * `valuesAt` floats on, values [kvHeads, slots, valueDim]; f32.
   */
  state: BufferRange
  slotStride: number
  valuesAt: number
  scale: number
  /** [tokens, heads, valueDim] f32 */
  o: BufferRange
}

/** Whether `gsaStep` serves layers of this shape here; the separate kernels serve all. */
export function gsaStepFits(tuning: Tuning, shape: GsaStepShape): boolean {
  return shape.featureMap !== 't2r' && sweepFits(tuning, sweepOf(shape))
}

/**
 * Moves the slots of decode segments on by one token and writes rows 0 … decodes-1 of o: what
 * prepareGsa, recurrent, slotSoftmax and recurrent would. A row does not depend on other rows.
 * kernels/gsa_step.wgsl.
 */
export function gsaStep(tuning: Tuning, options: GsaStepOptions): Plan[] {
  const { step, heads, kvHeads, keyDim, valueDim, slots, slotStride, valuesAt } = options
  invariant(
    gsaStepFits(tuning, options) && inBlocks(slotStride, valuesAt) === 'yes',
    `no fused GSA step for ${heads} heads over ${kvHeads} of ${keyDim} x ${slots} x ${valueDim}`,
  )
  return [
    {
      kernel: kernels.gsaStep,
      params: {
        ...sweepParams(sweepOf(options)),
        HEADS: heads,
        KV_HEADS: kvHeads,
        K: keyDim,
        SLOTS: slots,
        V: valueDim,
        SCALE: options.scale,
        STRIDE: options.stride,
        SLOT_STRIDE: slotStride,
        VALUES_AT: valuesAt,
        FEATURE_MAP: options.featureMap,
        NORMALIZER: options.gateNormalizer,
        CLAMP: 'none',
        CLAMP_MIN: 0,
      },
      bindings: { segments: step.segments, state: options.state, p: options.p, o: options.o },
      grid: ({ decodes }) => (decodes > 0 ? [kvHeads, decodes, 1] : undefined),
    },
  ]
}

function sweepOf({ heads, kvHeads, keyDim, valueDim, slots }: GsaStepShape) {
  const sweeps = [
    { rows: keyDim, columns: slots },
    { rows: slots, columns: valueDim },
  ]
  return { heads, kvHeads, sweeps }
}

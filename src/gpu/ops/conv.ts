// The short convolution in front of a mixer.
import { kernels } from '../../../kernels/index.ts'
import type { BufferRange } from '../buffers.ts'
import type { Plan } from '../program.ts'
import type { StepTables } from '../step.ts'
import type { Tuning } from '../tuning.ts'
import { ELEMENTWISE, perToken } from './elementwise.ts'

export interface ShortConvOptions {
  step: StepTables
  /** [tokens, stride] f32; the channels come first in a row. */
  p: BufferRange
  stride: number
  channels: number
  /** Tokens under the filter, from 1. */
  size: number
  /** [channels, size] f32; the last number meets the newest token. */
  weight: BufferRange
  /** [channels] f32 */
  bias?: BufferRange
  /** Output [tokens, channels] f32. */
  y: BufferRange
  /** Slot s starts at float s · slotStride: [channels, size - 1] last inputs, oldest first. */
  state: BufferRange
  slotStride: number
}

/** y = silu(depthwise causal convolution of p + bias); replaces the state of each segment's slot. */
export function shortConv(_tuning: Tuning, options: ShortConvOptions): Plan {
  const { step, p, stride, channels, size, weight, bias, y, state, slotStride } = options
  return {
    kernel: kernels.conv,
    params: {
      WORKGROUP: ELEMENTWISE,
      CHANNELS: channels,
      SIZE: size,
      STRIDE: stride,
      SLOT_STRIDE: slotStride,
      BIAS: bias ? 'vector' : 'none',
    },
    bindings: {
      counts: step.counts,
      segments: step.segments,
      segment_of: step.segmentOf,
      p,
      weight,
      y,
      state,
      ...(bias && { bias }),
    },
    grid: perToken(channels),
  }
}

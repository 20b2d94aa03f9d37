// The short convolution in front of a linear mixer's q, k and v, where the model has one.
import type { BufferRange } from '../src/gpu/buffers.ts'
import { shortConv } from '../src/gpu/ops/conv.ts'
import type { Plan } from '../src/gpu/program.ts'
import type { GlaConfig, GsaConfig } from './config.ts'
import type { LayerContext } from './layer.ts'
import { convChannels } from './state.ts'
import type { ConvTensors, TensorSource } from './tensors.ts'

/**
 * Convolves the first channels of the projections `p` [tokens, stride].
 * @returns no plans and no `y` for a model without convolutions, else `y` [tokens, channels].
 */
export async function convolved(
  context: LayerContext,
  config: GlaConfig | GsaConfig,
  tensors: ConvTensors,
  layer: number,
  p: BufferRange,
  stride: number,
): Promise<{ plans: Plan[]; y: BufferRange | undefined }> {
  const { convQ, convK, convV, convQBias, convKBias, convVBias } = tensors
  if (!convQ || !convK || !convV) return { plans: [], y: undefined }
  const channels = convChannels(config)
  const y = await context.perToken('convolved', channels)
  const biases = [convQBias, convKBias, convVBias].filter((bias) => bias !== undefined)
  const vector = (name: string, sources: TensorSource[]) =>
    context.weights.vector(`layer ${layer} ${name}`, sources)
  const plan = shortConv(context.tuning, {
    step: context.step,
    p,
    stride,
    channels,
    size: config.convSize,
    weight: await vector('convolution', [convQ, convK, convV]),
    bias: biases.length > 0 ? await vector('convolution bias', biases) : undefined,
    y,
    state: context.state(layer, 'conv'),
    slotStride: context.layout.slotFloats,
  })
  return { plans: [plan], y }
}

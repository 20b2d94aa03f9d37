// What GLA and GSA layers share: the fused projections, the short convolution behind them, and the
// buffers of a mixer's inputs and output.
import type { Activations } from '../src/gpu/activations.ts'
import type { BufferRange } from '../src/gpu/buffers.ts'
import { shortConv } from '../src/gpu/ops/conv.ts'
import { matmul } from '../src/gpu/ops/matmul.ts'
import type { Plan } from '../src/gpu/program.ts'
import type { GlaConfig, GsaConfig } from './config.ts'
import type { LayerContext } from './layer.ts'
import { convChannels } from './state.ts'
import type { GlaTensors, GsaTensors, TensorSource } from './tensors.ts'

/** Buffers of a linear mixer; f32 but for `normed`. */
export interface MixerBuffers {
  /** [tokens, stride]: q [H·K] | k [Hk·K] | v [Hk·V] | what the mixer adds. */
  p: BufferRange
  stride: number
  /** [tokens, H·K + Hk·K + Hk·V]: q, k and v convolved, if the model has convolutions. */
  qkv: BufferRange | undefined
  /** [tokens, H, K] */
  q: BufferRange
  /** [tokens, Hk, K] */
  k: BufferRange
  /** [tokens, Hk, V] */
  v: BufferRange
  /** [tokens, H, V] */
  o: BufferRange
  /** [tokens, H · V], o after its norm: the input of the output product. */
  normed: Activations
}

/**
 * Plans p = input · Wᵀ and the convolutions.
 * @param input [tokens, D]
 * @param rest matrices whose rows follow those of q, k and v
 */
export async function project(
  context: LayerContext,
  config: GlaConfig | GsaConfig,
  tensors: GlaTensors | GsaTensors,
  layer: number,
  input: Activations,
  rest: readonly TensorSource[],
): Promise<{ buffers: MixerBuffers; plans: Plan[] }> {
  const { tuning, step, weights, limits } = context
  const { heads, kvHeads, keyDim, valueDim } = config
  const matrices = [tensors.q, tensors.k, tensors.v, ...rest]
  const projection = await weights.stacked(`layer ${layer} projections`, matrices)
  const stride = projection.rows
  const p = await context.perToken('projections', stride)
  const conv = await convolve(context, config, tensors, layer, p, stride)
  return {
    buffers: {
      p,
      stride,
      qkv: conv?.y,
      q: await context.perToken('q', heads * keyDim),
      k: await context.perToken('k', kvHeads * keyDim),
      v: await context.perToken('v', kvHeads * valueDim),
      o: await context.perToken('o', heads * valueDim),
      normed: await context.activations('normed o', heads * valueDim),
    },
    plans: [
      ...matmul(tuning, { step, x: input, weights: projection, y: p, maxRows: limits.tokens }),
      ...(conv ? [conv.plan] : []),
    ],
  }
}

/** Convolves the first channels of the projections; undefined for a model without convolutions. */
async function convolve(
  context: LayerContext,
  config: GlaConfig | GsaConfig,
  tensors: GlaTensors | GsaTensors,
  layer: number,
  p: BufferRange,
  stride: number,
): Promise<{ plan: Plan; y: BufferRange } | undefined> {
  const { convQ, convK, convV, convQBias, convKBias, convVBias } = tensors
  if (!convQ || !convK || !convV) return undefined
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
  return { plan, y }
}

// Gated slot attention: tokens are written into M slots of keys and values that gates decay; q
// attends over the slots by softmax. Two gated linear attentions with a softmax between them.
import type { BufferRange } from '../src/gpu/buffers.ts'
import { chunked } from '../src/gpu/ops/chunk.ts'
import { rmsNorm } from '../src/gpu/ops/norm.ts'
import { prepareGsa } from '../src/gpu/ops/prepare.ts'
import { type GatedAttention, recurrent } from '../src/gpu/ops/recurrent.ts'
import { slotSoftmax } from '../src/gpu/ops/slot-softmax.ts'
import type { Plan } from '../src/gpu/program.ts'
import type { GsaConfig } from './config.ts'
import type { LayerContext } from './layer.ts'
import { project } from './projections.ts'
import type { GsaTensors } from './tensors.ts'

/** x += mixer(input) for one GSA layer; `input` is [tokens, D]. */
export async function gsaLayer(
  context: LayerContext,
  config: GsaConfig,
  tensors: GsaTensors,
  layer: number,
  input: BufferRange,
): Promise<Plan[]> {
  const { tuning, step, weights } = context
  const { heads, kvHeads, keyDim, valueDim, slots } = config
  const label = `layer ${layer}`
  // After q, k and v a row of p holds the slot gates [Hk·M].
  const { buffers, plans } = await project(context, config, tensors, layer, input, [tensors.gate])
  const { p, stride, q, k, v, o, normed } = buffers
  // s: how strongly a token writes into each slot; gate: log of how much each slot keeps.
  const s = await context.perToken('slot writes', kvHeads * slots)
  const gate = await context.perToken('gate', kvHeads * slots)
  const scores = await context.perToken('slot scores', heads * slots)
  const shares = await context.perToken('slot shares', heads * slots)

  const common = { step, gate, slotStride: context.layout.slotFloats, heads, kvHeads, scale: 1 }
  const keys: GatedAttention = {
    ...common,
    q,
    k,
    v: s,
    o: scores,
    state: context.state(layer, 'hk'),
    keyDim,
    valueDim: slots,
    gateAxis: 'value',
  }
  const values: GatedAttention = {
    ...common,
    q: shares,
    k: s,
    v,
    o,
    state: context.state(layer, 'hv'),
    keyDim: slots,
    valueDim,
    gateAxis: 'key',
  }

  return [
    ...plans,
    ...prepareGsa(tuning, {
      step,
      p,
      stride,
      qkv: buffers.qkv,
      q,
      k,
      v,
      s,
      gate,
      heads,
      kvHeads,
      keyDim,
      valueDim,
      slots,
      featureMap: config.featureMap,
      t2r: tensors.t2r && (await weights.vector(`${label} feature map`, [tensors.t2r])),
      gateNormalizer: config.gateNormalizer,
    }),
    ...recurrent(tuning, keys),
    ...chunked(tuning, { ...keys, scratch: await context.chunkScratch(keys) }),
    slotSoftmax(tuning, { step, logits: scores, p: shares, heads, slots }),
    ...recurrent(tuning, values),
    ...chunked(tuning, { ...values, scratch: await context.chunkScratch(values) }),
    rmsNorm(tuning, {
      step,
      x: o,
      y: normed,
      weight: tensors.outputNorm && (await weights.vector(`${label} norm`, [tensors.outputNorm])),
      dim: heads * valueDim,
      eps: config.outputNormEps,
      silu: true,
    }),
    ...(await context.addToResidual(`${label} output`, tensors.output, normed)),
  ]
}

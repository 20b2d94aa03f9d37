// Gated slot attention: tokens are written into M slots of keys and values that gates decay; q
// attends over the slots by softmax. Two gated linear attentions with a softmax between them.
import type { Activations } from '../src/gpu/activations.ts'
import { chunked } from '../src/gpu/ops/chunk.ts'
import { gsaStep, gsaStepFits } from '../src/gpu/ops/gsa-step.ts'
import { prepareGsa } from '../src/gpu/ops/prepare.ts'
import { type GatedAttention, recurrent } from '../src/gpu/ops/recurrent.ts'
import { slotSoftmax } from '../src/gpu/ops/slot-softmax.ts'
import type { Plan } from '../src/gpu/program.ts'
import type { GsaConfig } from './config.ts'
import type { LayerContext } from './layer.ts'
import { project } from './projections.ts'
import type { GsaTensors } from './tensors.ts'

/** x += mixer(input) for one GSA layer; `input` is [tokens, D], `next` the norm of x behind it. */
export async function gsaLayer(
  context: LayerContext,
  config: GsaConfig,
  tensors: GsaTensors,
  layer: number,
  input: Activations,
  next: Activations,
): Promise<Plan[]> {
  const { tuning, step, weights, layout } = context
  const { heads, kvHeads, keyDim, valueDim, slots, featureMap, gateNormalizer } = config
  const label = `layer ${layer}`
  // After q, k and v a row of p holds the slot gates [Hk·M].
  const { buffers, plans } = await project(context, config, tensors, layer, input, [tensors.gate])
  const { p, stride, qkv, q, k, v, o, normed } = buffers
  // s: how strongly a token writes into each slot; gate: log of how much each slot keeps.
  const s = await context.perToken('slot writes', kvHeads * slots)
  const gate = await context.perToken('gate', kvHeads * slots)
  const scores = await context.perToken('slot scores', heads * slots)
  const shares = await context.perToken('slot shares', heads * slots)
  // Decode rows take one dispatch where it serves the shape; then the others are for prompts alone.
  const fused = !qkv && gsaStepFits(tuning, config)
  const rows = fused ? 'prompt_tokens' : 'tokens'

  const shape = { heads, kvHeads, keyDim, valueDim }
  const common = { step, gate, slotStride: layout.slotFloats, heads, kvHeads, scale: 1 }
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
  const prompts = [
    ...prepareGsa(tuning, {
      ...shape,
      step,
      p,
      stride,
      qkv,
      q,
      k,
      v,
      s,
      gate,
      slots,
      featureMap,
      t2r: tensors.t2r && (await weights.vector(`${label} feature map`, [tensors.t2r])),
      gateNormalizer,
      rows,
    }),
    ...(fused ? [] : recurrent(tuning, keys)),
    ...chunked(tuning, { ...keys, scratch: await context.chunkScratch(keys) }),
    slotSoftmax(tuning, { step, logits: scores, p: shares, heads, slots, rows }),
    ...(fused ? [] : recurrent(tuning, values)),
    ...chunked(tuning, { ...values, scratch: await context.chunkScratch(values) }),
  ]
  const decode = fused
    ? gsaStep(tuning, {
        ...shape,
        step,
        p,
        stride,
        slots,
        featureMap,
        gateNormalizer,
        state: keys.state,
        valuesAt: context.stateOffset(layer, 'hv') - context.stateOffset(layer, 'hk'),
        slotStride: layout.slotFloats,
        scale: 1,
        o,
      })
    : []

  const output = await context.outputMatrix(label, tensors.output)
  return [
    ...plans,
    ...prompts,
    ...decode,
    ...(await context.normInto(normed, {
      x: o,
      weight: tensors.outputNorm && (await weights.vector(`${label} norm`, [tensors.outputNorm])),
      dim: heads * valueDim,
      eps: config.outputNormEps,
      silu: true,
    })),
    ...context.addToResidual(output, normed, next),
  ]
}

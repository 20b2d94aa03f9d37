// Gated linear attention: per key channel a gate decays the state S [K, V] of a head, then k·vᵀ
// is added and q reads it.

import type { BufferRange } from '../src/gpu/buffers.ts'
import { chunked } from '../src/gpu/ops/chunk.ts'
import { rmsNorm } from '../src/gpu/ops/norm.ts'
import { prepareGla } from '../src/gpu/ops/prepare.ts'
import { type GatedAttention, recurrent } from '../src/gpu/ops/recurrent.ts'
import type { Plan } from '../src/gpu/program.ts'
import type { GlaConfig } from './config.ts'
import type { LayerContext } from './layer.ts'
import { project } from './projections.ts'
import type { GlaTensors } from './tensors.ts'

/** x += mixer(input) for one GLA layer; `input` is [tokens, D]. */
export async function glaLayer(
  context: LayerContext,
  config: GlaConfig,
  tensors: GlaTensors,
  layer: number,
  input: BufferRange,
): Promise<Plan[]> {
  const { tuning, step, weights } = context
  const { heads, kvHeads, keyDim, valueDim } = config
  const label = `layer ${layer}`
  // After q, k and v a row of p holds the low-rank gate [rank], then the output gate [H·V].
  const { buffers, plans } = await project(context, config, tensors, layer, input, [
    tensors.gateDown,
    ...(tensors.outputGate ? [tensors.outputGate] : []),
  ])
  const { p, stride, q, k, v, o, normed } = buffers
  const gate = await context.perToken('gate', kvHeads * keyDim)

  const attention: GatedAttention = {
    step,
    q,
    k,
    v,
    gate,
    o,
    state: context.state(layer, 'S'),
    slotStride: context.layout.slotFloats,
    heads,
    kvHeads,
    keyDim,
    valueDim,
    scale: keyDim ** -0.5,
    gateAxis: 'key',
  }

  return [
    ...plans,
    ...prepareGla(tuning, {
      step,
      p,
      stride,
      qkv: buffers.qkv,
      q,
      k,
      v,
      gate,
      heads,
      kvHeads,
      keyDim,
      valueDim,
      featureMap: config.featureMap,
      gateRank: config.gateRank,
      gateUp: await weights.vector(`${label} gate`, [tensors.gateUp]),
      gateBias: await weights.vector(`${label} gate bias`, [tensors.gateBias]),
      gateNormalizer: config.gateNormalizer,
      clampMin: config.clampMin,
    }),
    ...recurrent(tuning, attention),
    ...chunked(tuning, { ...attention, scratch: await context.chunkScratch(attention) }),
    rmsNorm(tuning, {
      step,
      x: o,
      y: normed,
      weight: tensors.outputNorm && (await weights.vector(`${label} norm`, [tensors.outputNorm])),
      dim: valueDim,
      eps: config.outputNormEps,
      heads,
      gate: tensors.outputGate && { range: p, stride, offset: stride - heads * valueDim },
    }),
    ...(await context.addToResidual(`${label} output`, tensors.output, normed)),
  ]
}

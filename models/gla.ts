// Gated linear attention: per key channel a gate decays the state S [K, V] of a head, then k·vᵀ
// is added and q reads it.
import type { Activations } from '../src/gpu/activations.ts'
import { chunked } from '../src/gpu/ops/chunk.ts'
import { glaStep, glaStepFits } from '../src/gpu/ops/gla-step.ts'
import { prepareGla } from '../src/gpu/ops/prepare.ts'
import { type GatedAttention, recurrent } from '../src/gpu/ops/recurrent.ts'
import type { Plan } from '../src/gpu/program.ts'
import type { GlaConfig } from './config.ts'
import type { LayerContext } from './layer.ts'
import { project } from './projections.ts'
import type { GlaTensors } from './tensors.ts'

/** x += mixer(input) for one GLA layer; `input` is [tokens, D], `next` the norm of x behind it. */
export async function glaLayer(
  context: LayerContext,
  config: GlaConfig,
  tensors: GlaTensors,
  layer: number,
  input: Activations,
  next: Activations,
): Promise<Plan[]> {
  const { tuning, step, weights } = context
  const { heads, kvHeads, keyDim, valueDim, gateRank, outputNormEps: eps } = config
  const label = `layer ${layer}`
  // After q, k and v a row of p holds the low-rank gate [rank], then the output gate [H·V].
  const { buffers, plans } = await project(context, config, tensors, layer, input, [
    tensors.gateDown,
    ...(tensors.outputGate ? [tensors.outputGate] : []),
  ])
  const { p, stride, qkv, q, k, v, o, normed } = buffers
  const outputGate = tensors.outputGate && { range: p, stride, offset: stride - heads * valueDim }
  const weight = tensors.outputNorm && (await weights.vector(`${label} norm`, [tensors.outputNorm]))
  const output = await context.outputMatrix(label, tensors.output)
  const gate = await context.perToken('gate', kvHeads * keyDim)
  // Decode rows take one dispatch where it serves the shape; then the others are for prompts alone.
  const fused = !qkv && glaStepFits(tuning, config)
  const rows = fused ? 'prompt_tokens' : 'tokens'

  const shape = { heads, kvHeads, keyDim, valueDim }
  const states = {
    state: context.state(layer, 'S'),
    slotStride: context.layout.slotFloats,
    scale: keyDim ** -0.5,
  }
  const gates = {
    featureMap: config.featureMap,
    gateRank,
    gateUp: await weights.vector(`${label} gate`, [tensors.gateUp]),
    gateBias: await weights.vector(`${label} gate bias`, [tensors.gateBias]),
    gateNormalizer: config.gateNormalizer,
    clampMin: config.clampMin,
  }
  const attention: GatedAttention = { ...shape, ...states, step, q, k, v, gate, o, gateAxis: 'key' }
  const decode = fused
    ? glaStep(tuning, {
        ...shape,
        ...states,
        ...gates,
        step,
        p,
        stride,
        weight,
        eps,
        outputGate: outputGate !== undefined,
        y: normed,
      })
    : recurrent(tuning, attention)

  return [
    ...plans,
    ...prepareGla(tuning, { ...shape, ...gates, step, p, stride, qkv, q, k, v, gate, rows }),
    ...decode,
    ...chunked(tuning, { ...attention, scratch: await context.chunkScratch(attention) }),
    ...(await context.normInto(normed, {
      x: o,
      weight,
      dim: valueDim,
      eps,
      heads,
      rows,
      gate: outputGate,
    })),
    ...context.addToResidual(output, normed, next),
  ]
}

// The mixers in float64, one whole sequence at a time: GLA, GSA and softmax attention layers.
import type { GlaConfig, GsaConfig, MixerConfig, SoftmaxConfig } from '../../models/config.ts'
import { attention, rotary } from './attention.ts'
import type { OracleWeights } from './checkpoint.ts'
import { shortConv } from './conv.ts'
import { silu } from './math.ts'
import { matmul } from './matmul.ts'
import { rmsNorm } from './norm.ts'
import { featureMap, glaGates, gsaGates } from './prepare.ts'
import { gatedRecurrent, slotRecurrent } from './recurrent.ts'

/** x [rows, columns] · weightsᵀ (+ bias): [rows, N]. */
export function linear(
  x: Float64Array,
  weights: Float64Array,
  columns: number,
  bias?: Float64Array,
): Float64Array {
  const [rows, N] = [x.length / columns, weights.length / columns]
  return matmul({ x, weights, rows, N, K: columns, bias })
}

/** A mixer on n [tokens, D], from its own weights: [tokens, D]. */
export function mix(
  n: Float64Array,
  tokens: number,
  config: MixerConfig,
  weights: OracleWeights,
): Float64Array {
  const D = n.length / tokens
  const mixed = {
    gla: () => gla(n, D, config as GlaConfig, weights),
    gsa: () => gsa(n, D, config as GsaConfig, weights),
    softmax: () => softmax(n, D, config as SoftmaxConfig, weights),
  }[config.kind]()
  return linear(mixed, weights.get('o_proj.weight'), mixed.length / tokens)
}

/** Query, key or value projection, convolved if there is a convolution. */
function project(n: Float64Array, D: number, which: 'q' | 'k' | 'v', weights: OracleWeights) {
  const x = linear(n, weights.get(`${which}_proj.weight`), D, weights.find(`${which}_proj.bias`))
  const taps = weights.find(`${which}_conv1d.weight`)
  if (taps === undefined) return x
  const channels = x.length / (n.length / D)
  return shortConv(x, channels, taps.length / channels, taps, weights.find(`${which}_conv1d.bias`))
    .y
}

/** [tokens, H·V], before the output projection. */
function gla(n: Float64Array, D: number, config: GlaConfig, weights: OracleWeights) {
  const { heads, kvHeads, keyDim, valueDim, gateNormalizer, clampMin } = config
  const down = weights.get('gk_proj.0.weight')
  const gate = glaGates(
    linear(n, down, D),
    weights.get('gk_proj.1.weight'),
    weights.get('gk_proj.1.bias'),
    down.length / D,
    gateNormalizer,
    clampMin,
  )
  const q = featureMap(config.featureMap, project(n, D, 'q', weights), keyDim)
  const k = featureMap(config.featureMap, project(n, D, 'k', weights), keyDim)
  const v = project(n, D, 'v', weights)
  const scale = keyDim ** -0.5
  const shape = { heads, kvHeads, keyDim, valueDim, scale, gateAxis: 'key' as const }
  const state = new Float64Array(kvHeads * keyDim * valueDim)
  const o = gatedRecurrent(shape, { q, k, v, gate }, state, 0, n.length / D)
  const norm = weights.find('g_norm_swish_gate.weight', 'g_norm.weight')
  const normed = rmsNorm(o, valueDim, config.outputNormEps, norm)
  if (!config.outputGate) return normed
  const outputGate = linear(n, weights.get('g_proj.weight'), D)
  return normed.map((value, i) => value * silu(outputGate[i]))
}

/** [tokens, H·V], before the output projection. */
function gsa(n: Float64Array, D: number, config: GsaConfig, weights: OracleWeights) {
  const { heads, kvHeads, keyDim, valueDim, slots } = config
  const t2r = weights.find('feature_map.layer.weight')
  const q = featureMap(config.featureMap, project(n, D, 'q', weights), keyDim, t2r)
  const k = featureMap(config.featureMap, project(n, D, 'k', weights), keyDim, t2r)
  const v = project(n, D, 'v', weights).map(silu)
  const f = linear(n, weights.get('f_proj.weight'), D)
  const { gate, s } = gsaGates(f, config.gateNormalizer)
  const keys = new Float64Array(kvHeads * keyDim * slots)
  const values = new Float64Array(kvHeads * slots * valueDim)
  const shape = { heads, kvHeads, keyDim, slots, valueDim, scale: 1 }
  const o = slotRecurrent(shape, { q, k, v, s, f: gate }, keys, values, 0, n.length / D)
  return rmsNorm(o.map(silu), heads * valueDim, config.outputNormEps, weights.find('g_norm.weight'))
}

/** [tokens, Ha·d], before the output projection. */
function softmax(n: Float64Array, D: number, config: SoftmaxConfig, weights: OracleWeights) {
  const { headDim, ropeTheta } = config
  const positions = [...Array(n.length / D).keys()]
  const q = rotary(project(n, D, 'q', weights), positions, headDim, ropeTheta)
  const k = rotary(project(n, D, 'k', weights), positions, headDim, ropeTheta)
  return attention(q, k, project(n, D, 'v', weights), config)
}

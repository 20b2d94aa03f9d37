// Tensors of one mixer: GLA, GSA or softmax attention, in the layouts that checkpoints came in.

import { reshape, selectRows, type TensorSource } from '../src/loader/tensor-source.ts'
import type { GlaConfig, GsaConfig, SoftmaxConfig } from './config.ts'
import type { ConvTensors, GlaTensors, GsaTensors, SoftmaxTensors } from './tensors.ts'
import type { TensorLookup } from './tensors-lookup.ts'

/** What a mixer is made of, with what only the tensors could tell put into its configuration. */
export interface MappedMixer<C, T> {
  config: C
  tensors: T
}

/** The output norm's two names mean the same; which one was saved depends on a kernel choice. */
const OUTPUT_NORM = ['g_norm_swish_gate.weight', 'g_norm.weight']

/** Takes the tensors of a GLA layer; `path` is `layers.N.attn.`, D the hidden size. */
export function mapGla(
  lookup: TensorLookup,
  path: string,
  config: GlaConfig,
  D: number,
): MappedMixer<GlaConfig, GlaTensors> {
  const { heads, keyDim, valueDim } = config
  const gateRank = Math.max(1, lookup.rows(`${path}gk_proj.0.weight`) ?? config.gateRank)
  // For three days in May 2024 there was a gate, hence a state, for every query head.
  const perQueryHead = lookup.rows(`${path}gk_proj.1.weight`) === heads * keyDim
  const kvHeads = perQueryHead ? heads : config.kvHeads
  const stored = takeProjections(lookup, path, config, D)
  const tensors: GlaTensors = {
    kind: 'gla',
    ...repeatKvHeads(stored, config, kvHeads),
    gateDown: lookup.take(`${path}gk_proj.0.weight`, [gateRank, D]),
    gateUp: lookup.take(`${path}gk_proj.1.weight`, [kvHeads * keyDim, gateRank]),
    gateBias: lookup.take(`${path}gk_proj.1.bias`, [kvHeads * keyDim]),
  }
  if (config.outputGate) {
    tensors.outputGate = lookup.take(`${path}g_proj.weight`, [heads * valueDim, D])
  }
  if (config.outputNormWeight) tensors.outputNorm = takeOutputNorm(lookup, path, valueDim)
  return { config: { ...config, gateRank, kvHeads }, tensors }
}

/** Takes the tensors of a GSA layer. */
export function mapGsa(
  lookup: TensorLookup,
  path: string,
  config: GsaConfig,
  D: number,
): MappedMixer<GsaConfig, GsaTensors> {
  const { kvHeads, keyDim, slots } = config
  const tensors: GsaTensors = {
    kind: 'gsa',
    ...takeProjections(lookup, path, config, D),
    gate: lookup.take(`${path}f_proj.weight`, [kvHeads * slots, D]),
  }
  if (config.outputNormWeight) tensors.outputNorm = takeOutputNorm(lookup, path, D)
  if (config.featureMap === 't2r') {
    tensors.t2r = lookup.take(`${path}feature_map.layer.weight`, [keyDim, keyDim])
  }
  return { config, tensors }
}

/** Takes the tensors of a softmax layer. */
export function mapSoftmax(
  lookup: TensorLookup,
  path: string,
  config: SoftmaxConfig,
  D: number,
): MappedMixer<SoftmaxConfig, SoftmaxTensors> {
  const rows = config.heads * config.headDim
  const kvRows = config.kvHeads * config.headDim
  const tensors: SoftmaxTensors = {
    kind: 'softmax',
    q: lookup.take(`${path}q_proj.weight`, [rows, D]),
    k: lookup.take(`${path}k_proj.weight`, [kvRows, D]),
    v: lookup.take(`${path}v_proj.weight`, [kvRows, D]),
    output: lookup.take(`${path}o_proj.weight`, [D, rows]),
  }
  if (config.qkvBias) {
    tensors.qBias = lookup.take(`${path}q_proj.bias`, [rows])
    tensors.kBias = lookup.take(`${path}k_proj.bias`, [kvRows])
    tensors.vBias = lookup.take(`${path}v_proj.bias`, [kvRows])
  }
  return { config, tensors }
}

/** Projections of a GLA or GSA layer with their convolutions. */
interface Projections extends ConvTensors {
  q: TensorSource
  k: TensorSource
  v: TensorSource
  output: TensorSource
}

function takeProjections(
  lookup: TensorLookup,
  path: string,
  config: GlaConfig | GsaConfig,
  D: number,
): Projections {
  const { heads, kvHeads, keyDim, valueDim, convSize } = config
  const projections: Projections = {
    q: lookup.take(`${path}q_proj.weight`, [heads * keyDim, D]),
    k: lookup.take(`${path}k_proj.weight`, [kvHeads * keyDim, D]),
    v: lookup.take(`${path}v_proj.weight`, [kvHeads * valueDim, D]),
    output: lookup.take(`${path}o_proj.weight`, [D, heads * valueDim]),
  }
  if (convSize === 0) return projections
  const weight = (name: string, channels: number) =>
    reshape(lookup.take(`${path}${name}_conv1d.weight`, [channels, 1, convSize]), [
      channels,
      convSize,
    ])
  // The three convolutions are made alike: biases come together or not at all.
  const biased = ['q', 'k', 'v'].some((name) => lookup.has(`${path}${name}_conv1d.bias`))
  const bias = (name: string, channels: number) =>
    biased ? lookup.take(`${path}${name}_conv1d.bias`, [channels]) : undefined
  return {
    ...projections,
    convQ: weight('q', heads * keyDim),
    convK: weight('k', kvHeads * keyDim),
    convV: weight('v', kvHeads * valueDim),
    convQBias: bias('q', heads * keyDim),
    convKBias: bias('k', kvHeads * keyDim),
    convVBias: bias('v', kvHeads * valueDim),
  }
}

function takeOutputNorm(lookup: TensorLookup, path: string, size: number): TensorSource {
  return lookup.take(
    OUTPUT_NORM.map((name) => path + name),
    [size],
  )
}

/** k, v and their convolutions with the rows of each head repeated until there are `kvHeads`. */
function repeatKvHeads(stored: Projections, config: GlaConfig, kvHeads: number): Projections {
  const times = kvHeads / config.kvHeads
  if (times === 1) return stored
  const repeat = (source: TensorSource, dim: number) => {
    const spans = Array.from({ length: kvHeads }, (_, head) => ({
      first: Math.floor(head / times) * dim,
      count: dim,
    }))
    return selectRows(source, spans, `${source.name} (repeated ${times} times)`)
  }
  const { keyDim, valueDim } = config
  return {
    ...stored,
    k: repeat(stored.k, keyDim),
    v: repeat(stored.v, valueDim),
    convK: stored.convK && repeat(stored.convK, keyDim),
    convV: stored.convV && repeat(stored.convV, valueDim),
    convKBias: stored.convKBias && repeat(stored.convKBias, keyDim),
    convVBias: stored.convVBias && repeat(stored.convVBias, valueDim),
  }
}

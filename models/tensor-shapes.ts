// Names and shapes of all tensors of a model, as flash-linear-attention writes them today.
import type { MixerConfig, ModelConfig } from './config.ts'

export type NamedShape = [name: string, shape: readonly number[]]

export function* tensorShapes(config: ModelConfig): Generator<NamedShape> {
  const { hiddenSize: D, innerSize: I, vocabSize } = config
  yield ['model.embeddings.weight', [vocabSize, D]]
  for (const [i, mixer] of config.layers.entries()) {
    const layer = `model.layers.${i}`
    yield [`${layer}.attn_norm.weight`, [D]]
    for (const [name, shape] of mixerShapes(mixer, D)) yield [`${layer}.attn.${name}`, shape]
    yield [`${layer}.mlp_norm.weight`, [D]]
    yield [`${layer}.mlp.gate_proj.weight`, [I, D]]
    yield [`${layer}.mlp.up_proj.weight`, [I, D]]
    yield [`${layer}.mlp.down_proj.weight`, [D, I]]
  }
  yield ['model.norm.weight', [D]]
  if (!config.tiedEmbeddings) yield ['lm_head.weight', [vocabSize, D]]
}

function* mixerShapes(mixer: MixerConfig, D: number): Generator<NamedShape> {
  const { heads, kvHeads } = mixer
  const isSoftmax = mixer.kind === 'softmax'
  const keyDim = isSoftmax ? mixer.headDim : mixer.keyDim
  const valueDim = isSoftmax ? mixer.headDim : mixer.valueDim
  const projections = { q: heads * keyDim, k: kvHeads * keyDim, v: kvHeads * valueDim }
  for (const [name, rows] of Object.entries(projections)) {
    yield [`${name}_proj.weight`, [rows, D]]
    if (isSoftmax && mixer.qkvBias) yield [`${name}_proj.bias`, [rows]]
    if (!isSoftmax && mixer.convSize > 0) {
      yield [`${name}_conv1d.weight`, [rows, 1, mixer.convSize]]
    }
  }
  yield ['o_proj.weight', [D, heads * valueDim]]
  if (isSoftmax) return
  if (mixer.outputNormWeight) {
    // Norm and gate are one module there, which is named after both.
    const norm = mixer.kind === 'gla' && mixer.outputGate ? 'g_norm_swish_gate' : 'g_norm'
    yield [`${norm}.weight`, [mixer.kind === 'gla' ? valueDim : D]]
  }
  if (mixer.kind === 'gsa') {
    yield ['f_proj.weight', [kvHeads * mixer.slots, D]]
    if (mixer.featureMap === 't2r') yield ['feature_map.layer.weight', [keyDim, keyDim]]
    return
  }
  yield ['gk_proj.0.weight', [mixer.gateRank, D]]
  yield ['gk_proj.1.weight', [kvHeads * keyDim, mixer.gateRank]]
  yield ['gk_proj.1.bias', [kvHeads * keyDim]]
  if (mixer.outputGate) yield ['g_proj.weight', [heads * valueDim, D]]
}

/** Numbers that a token is multiplied with on its way through the layers; 2 operations each. */
export function layerWeights(config: ModelConfig): number {
  let weights = 0
  for (const [name, shape] of tensorShapes(config)) {
    const isProduct = name.startsWith('model.layers.') && shape.length === 2
    if (isProduct) weights += shape[0] * shape[1]
  }
  return weights
}

// A whole model in float64, one sequence from its start: the oracles of single kernels put together, and
// tensors under the names that files have for them.
import type { OracleModel, OracleWeights } from './checkpoint.ts'
import { silu } from './math.ts'
import { linear, mix } from './mixers.ts'
import { rmsNorm } from './norm.ts'

/** Logits behind every token: [tokens, vocab]. */
export function oracleLogits(
  { config, weights }: OracleModel,
  ids: readonly number[],
): Float64Array {
  const { hiddenSize: D, normEps, tiedEmbeddings } = config
  const embeddings = weights.get('model.embeddings.weight', 'model.embed_tokens.weight')
  const rows = ids.flatMap((id) => [...embeddings.subarray(id * D, (id + 1) * D)])
  let x = Float64Array.from(rows)
  for (const [i, mixer] of config.layers.entries()) {
    const layer = weights.at(`model.layers.${i}.`)
    const mixerNorm = layer.find('attn_norm.weight', 'attn.norm.weight', 'input_layernorm.weight')
    const n = mixerNorm ? rmsNorm(x, D, normEps, mixerNorm) : x
    x = sum(x, mix(n, ids.length, mixer, layer.at(isTransformers(layer) ? 'self_attn.' : 'attn.')))
    const mlpNorm = layer.get(
      'mlp_norm.weight',
      'mlp.norm.weight',
      'post_attention_layernorm.weight',
    )
    x = sum(x, mlp(rmsNorm(x, D, normEps, mlpNorm), D, layer.at('mlp.')))
  }
  const head = tiedEmbeddings ? embeddings : weights.get('lm_head.weight')
  return linear(rmsNorm(x, D, normEps, weights.get('model.norm.weight')), head, D)
}

/** SwiGLU on m [tokens, D]; one matrix may hold the rows of the gate, then those of up. */
function mlp(m: Float64Array, D: number, weights: OracleWeights): Float64Array {
  const down = weights.get('down_proj.weight')
  const I = down.length / D
  const first = weights.get('gate_proj.weight')
  const gate = linear(m, first.subarray(0, I * D), D)
  const up = linear(m, weights.find('up_proj.weight') ?? first.subarray(I * D), D)
  return linear(
    gate.map((value, i) => silu(value) * up[i]),
    down,
    I,
  )
}

/** Whether the layer has the names that Hugging Face's transformers give. */
function isTransformers(layer: OracleWeights): boolean {
  return layer.find('self_attn.q_proj.weight') !== undefined
}

function sum(a: Float64Array, b: Float64Array): Float64Array<ArrayBuffer> {
  return a.map((value, i) => value + b[i]) as Float64Array<ArrayBuffer>
}

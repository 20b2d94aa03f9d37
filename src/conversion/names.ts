// Names of tensors: those of flash-linear-attention, those that Mistral and Llama have for the same,
// and which ones no softmax model has.

import type { ModelConfig } from '../../models/config.ts'

/** From a name of FLA to that of the same tensor in a source. */
export function renameFor(modelType: ModelConfig['modelType']): (name: string) => string {
  return modelType === 'transformer' ? (name) => name : huggingFaceName
}

function huggingFaceName(name: string): string {
  return name
    .replace('model.embeddings.', 'model.embed_tokens.')
    .replace('.attn_norm.', '.input_layernorm.')
    .replace('.mlp_norm.', '.post_attention_layernorm.')
    .replace('.attn.', '.self_attn.')
}

/** Whether no softmax model has such a tensor: all of linear attention but its projections. */
export function isNew(name: string, softmaxLayers: readonly number[]): boolean {
  const [, layer, part] = /^model\.layers\.(\d+)\.attn\.(.*)$/.exec(name) ?? []
  if (layer === undefined || softmaxLayers.includes(Number(layer))) return false
  return !/^[qkvo]_proj\.weight$/.test(part)
}

/** Layer and projection of a bias of attention in a source; undefined: it is something else. */
export function parseBias(name: string): { layer: number; projection: string } | undefined {
  const match = /^model\.layers\.(\d+)\.(?:self_attn|attn)\.([qkvo])_proj\.bias$/.exec(name)
  return match === null ? undefined : { layer: Number(match[1]), projection: match[2] }
}

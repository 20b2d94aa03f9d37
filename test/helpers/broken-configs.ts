// Configurations that must be refused.

import type { Json } from './checkpoints.ts'
import { type BrokenCheckpoint, changed } from './damage.ts'

function config(name: string, message: RegExp, keys: Json, kind: 'gla' | 'gsa' = 'gla') {
  return changed(name, message, { kind, config: keys })
}

export const brokenConfigs: BrokenCheckpoint[] = [
  config(
    'another model',
    /config\.json: model_type: found "mamba2"; allowed: "gla", "gsa", "mistral", "llama", "transformer"/,
    {
      model_type: 'mamba2',
    },
  ),
  config('no model_type', /model_type: found nothing; allowed: "gla", "gsa"/, {
    model_type: undefined,
  }),
  config('a broken hidden_size', /hidden_size: found 32\.5; allowed: a whole number from 1/, {
    hidden_size: 32.5,
  }),
  config('a negative vocab_size', /vocab_size: found -1; allowed: a whole number from 1/, {
    vocab_size: -1,
  }),
  config('a billion layers', /num_hidden_layers: found 1000000000; allowed: .* to 4096/, {
    num_hidden_layers: 1e9,
  }),
  config('norm_eps in words', /norm_eps: found "small"; allowed: a number above 0/, {
    norm_eps: 'small',
  }),
  config('an unknown activation', /hidden_act: found "gelu"; allowed: "swish", "silu"/, {
    hidden_act: 'gelu',
  }),
  config('attention residuals', /attnres_block_size: found 4; allowed: null/, {
    attnres_block_size: 4,
  }),
  config('rotary GSA', /use_rope: found true; allowed: false/, { use_rope: true }, 'gsa'),
  config('quantized weights', /quantization_config: found .*gptq.*; allowed: null/, {
    quantization_config: { quant_method: 'gptq' },
  }),
  config('heads that KV heads do not divide', /num_kv_heads: found 3; .* num_heads 4/, {
    num_kv_heads: 3,
  }),
  config('heads that do not divide the width', /num_heads: found 4; .* expand_k 0\.3 is 9/, {
    expand_k: 0.3,
  }),
  config('GSA with wide values', /expand_v: found 2; allowed: 1/, { expand_v: 2 }, 'gsa'),
  config('an unknown GLA map', /feature_map: found "elu"; allowed: "relu", "swish"/, {
    feature_map: 'elu',
  }),
  config(
    'GSA without a map',
    /feature_map: found null; allowed: "swish", "relu", "t2r"/,
    { feature_map: null },
    'gsa',
  ),
  config('gates clamped above 0', /clamp_min: found 0\.5; allowed: a number of at most 0/, {
    clamp_min: 0.5,
  }),
  config('no slots', /num_slots: found 0; allowed: a whole number from 1/, { num_slots: 0 }, 'gsa'),
  config('a convolution of one tap', /conv_size: found 1; allowed: a whole number from 2/, {
    use_short_conv: true,
    conv_size: 1,
  }),
  config('a softmax layer given twice', /attn\.1\.layers\.0: found 1; allowed: each layer/, {
    attn: [
      { layers: [1], num_heads: 4 },
      { layers: [1], num_heads: 2 },
    ],
  }),
  config('a softmax layer too many', /attn\.layers\.1: found 2; allowed: .* from 0 to 1/, {
    attn: { layers: [0, 2], num_heads: 4 },
  }),
  config('softmax heads of odd size', /attn\.num_heads: found 32; allowed: .* even size/, {
    attn: { layers: [0], num_heads: 32 },
  }),
  config('softmax without heads', /attn\.num_heads: found nothing; allowed: a whole number/, {
    attn: { layers: [0] },
  }),
  config('normed softmax queries', /attn\.qk_norm: found true; allowed: layers, num_heads/, {
    attn: { layers: [0], num_heads: 4, qk_norm: true },
  }),
]

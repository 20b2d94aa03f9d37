// From a projection to the inputs of a GLA or GSA mixer, number by number.
#include "math.wgsl"
#param FEATURE_MAP: identity | relu | swish | sigmoid | sqrelu | gelu | logsigmoid | t2r
#param NORMALIZER: f32      // divides the log gates
#param CLAMP: none | min
#param CLAMP_MIN: f32       // least log gate, after the division

// Of q and k; t2r is the relu behind its matrix.
fn feature(x: f32) -> f32 {
#if FEATURE_MAP == relu || FEATURE_MAP == t2r
  return max(x, 0.0);
#elif FEATURE_MAP == swish
  return silu(x);
#elif FEATURE_MAP == sigmoid
  return sigmoid(x);
#elif FEATURE_MAP == sqrelu
  return max(x, 0.0) * max(x, 0.0);
#elif FEATURE_MAP == gelu
  return gelu_tanh(x);
#elif FEATURE_MAP == logsigmoid
  return log_sigmoid(x);
#else
  return x;
#endif
}

fn log_gate(x: f32) -> f32 {
  let g = log_sigmoid(x) / NORMALIZER;
#if CLAMP == min
  return max(g, CLAMP_MIN);
#else
  return g;
#endif
}

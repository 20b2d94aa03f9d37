// Decays of gated states.
#include "math.wgsl"

// exp(gate) for gate <= 0. An exp that is off by an ulp to one side, as SwiftShader's is, costs a
// digit over a memory of ten steps, each of which multiplies by it; close to 1 the series rounds
// to both sides.
fn decay(gate: f32) -> f32 {
  return select(exp(gate), 1.0 - one_minus_exp(gate), gate > -0.1);
}

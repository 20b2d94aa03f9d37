// x[t] = weights[tokens[t]]: one invocation copies four numbers. Ids are checked by the host.
#include "step.wgsl"
#include "weights.wgsl"
#param WORKGROUP: u32
#param DIM: u32

@group(0) @binding(0) var<uniform> counts: Counts;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;      // [tokens]
@group(0) @binding(3) var<storage, read_write> x: array<f32>;     // [tokens, DIM]

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x * 4;
  let token = id.y;
  if (i >= DIM || token >= counts.tokens) {
    return;
  }
  let numbers = weights4(tokens[token] * (WEIGHT_STRIDE / 4) + id.x);
  let to = token * DIM + i;
  x[to] = numbers.x;
  if (i + 1 < DIM) {
    x[to + 1] = numbers.y;
  }
  if (i + 2 < DIM) {
    x[to + 2] = numbers.z;
  }
  if (i + 3 < DIM) {
    x[to + 3] = numbers.w;
  }
}

// x[t] = weights[id]: one invocation copies four numbers. tokens[t] is the id, checked by the host, or
// names the slot whose last sampled token is meant.
#include "step.wgsl"
#include "weights.wgsl"
#param WORKGROUP: u32
#param DIM: u32

@group(0) @binding(0) var<uniform> counts: Counts;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;      // [tokens]
@group(0) @binding(3) var<storage, read_write> x: array<f32>;     // [tokens, DIM]
@group(0) @binding(4) var<storage, read> sampled: array<u32>;     // [slots]

const FROM_SLOT = 0x80000000u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x * 4;
  let token = id.y;
  if (i >= DIM || token >= counts.tokens) {
    return;
  }
  var row = tokens[token];
  if (row >= FROM_SLOT) {
    row = sampled[row - FROM_SLOT];
  }
  let numbers = weights4(row * (WEIGHT_STRIDE / 4) + id.x);
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

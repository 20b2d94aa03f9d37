// y = x · weightsᵀ for few rows: LANES invocations side by side along k read four weight rows once for
// TILE_ROWS rows of x, eight numbers a step. A result is summed in the same order whatever TILE_ROWS is,
// if subgroups have the same size.
enable subgroups;
#include "float_product.wgsl"
#include "few_outputs.wgsl"
#param TILE_ROWS: u32   // 1, 2, 4 or 8

const STEPS = WEIGHT_STRIDE / 8;
// A constant number, so that drivers unroll the loop and have more reads under way.
const ROUNDS = (STEPS + LANES - 1) / LANES;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(local_invocation_index) local: u32,
        @builtin(subgroup_size) subgroup_size: u32) {
  // Rows and outputs past the end repeat the last one and are not stored.
  let first = first_row() + group.y * TILE_ROWS;
  let last = end_row() - 1;
  let lane = local % LANES;
#for m < TILE_ROWS
  let row$m = min(first + $m, last);
  keep_squares(row$m, $m, local, subgroup_size);
#endfor
  for (var pass_index = 0u; pass_index < PASSES; pass_index++) {
    let n = first_output(group.x, pass_index, local);
#for j < 4
    let w$j = min(n + $j, N - 1) * STEPS;
#endfor
#for m < TILE_ROWS
    var sum$m = vec4<f32>();
#endfor
    for (var round = 0u; round < ROUNDS; round++) {
      let k = round * LANES + lane;
      if (STEPS % LANES != 0 && k >= STEPS) {
        break;
      }
      let a = weights8(w0 + k);
      let b = weights8(w1 + k);
      let c = weights8(w2 + k);
      let d = weights8(w3 + k);
      let low = mat4x4(a.low, b.low, c.low, d.low);
      let high = mat4x4(a.high, b.high, c.high, d.high);
#for m < TILE_ROWS
      sum$m = add_input(sum$m, row$m, k, low, high);
#endfor
    }
#for m < TILE_ROWS
    keep_partial(pass_index, $m, local, subgroup_size, sum$m);
#endfor
  }
  finish_rows(group.x, first, last, local, subgroup_size);
}

fn input(row: u32, k4: u32) -> vec4<f32> {
  if (K % 8 == 0) {
    return input4(row, k4);
  }
  return input4_or_zero(row, k4);
}

// sum plus inputs 8 · k8 … 8 · k8 + 7 of a row times the four weight rows.
fn add_input(sum: vec4<f32>, row: u32, k8: u32, low: mat4x4<f32>, high: mat4x4<f32>) -> vec4<f32> {
  return accumulate(accumulate(sum, input(row, 2 * k8), low), input(row, 2 * k8 + 1), high);
}

// y = x · weightsᵀ for few rows: each subgroup reads four weight rows once for TILE_ROWS rows of x,
// its lanes side by side along k, eight numbers a step. A result is summed in the same order whatever
// TILE_ROWS is, if subgroups have the same size.
enable subgroups;
#include "weights.wgsl"
#include "product.wgsl"
#param WORKGROUP: u32   // at least the largest subgroup, 128
#param OUTPUTS: u32     // results of one workgroup for each row, a multiple of 4
#param TILE_ROWS: u32   // 1, 2, 4 or 8

const STEPS: u32 = WEIGHT_STRIDE / 8;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(local_invocation_index) local: u32,
        @builtin(subgroup_invocation_id) lane: u32,
        @builtin(subgroup_size) subgroup_size: u32) {
  // Rows and outputs past the end repeat the last one and are not stored.
  let last = end_row() - 1;
  let row = first_row() + group.y * TILE_ROWS;
#if TILE_ROWS > 1
  let row1 = min(row + 1, last);
#endif
#if TILE_ROWS > 2
  let row2 = min(row + 2, last);
  let row3 = min(row + 3, last);
#endif
#if TILE_ROWS > 4
  let row4 = min(row + 4, last);
  let row5 = min(row + 5, last);
  let row6 = min(row + 6, last);
  let row7 = min(row + 7, last);
#endif
  // All invocations take part in every round: subgroup operations need uniform control flow.
  for (var first = 0u; first < OUTPUTS; first += WORKGROUP / subgroup_size * 4) {
    let own = first + local / subgroup_size * 4;
    let n = group.x * OUTPUTS + own;
    let mine = own < OUTPUTS && n < N;
    let steps = select(0, STEPS, mine);
    let w0 = n * STEPS;
    let w1 = min(n + 1, N - 1) * STEPS;
    let w2 = min(n + 2, N - 1) * STEPS;
    let w3 = min(n + 3, N - 1) * STEPS;
    var sum0 = vec4<f32>();
#if TILE_ROWS > 1
    var sum1 = vec4<f32>();
#endif
#if TILE_ROWS > 2
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
#endif
#if TILE_ROWS > 4
    var sum4 = vec4<f32>();
    var sum5 = vec4<f32>();
    var sum6 = vec4<f32>();
    var sum7 = vec4<f32>();
#endif
    for (var k = lane; k < steps; k += subgroup_size) {
      let a = weights8(w0 + k);
      let b = weights8(w1 + k);
      let c = weights8(w2 + k);
      let d = weights8(w3 + k);
      let low = mat4x4(a.low, b.low, c.low, d.low);
      let high = mat4x4(a.high, b.high, c.high, d.high);
      sum0 = add_input(sum0, row, k, low, high);
#if TILE_ROWS > 1
      sum1 = add_input(sum1, row1, k, low, high);
#endif
#if TILE_ROWS > 2
      sum2 = add_input(sum2, row2, k, low, high);
      sum3 = add_input(sum3, row3, k, low, high);
#endif
#if TILE_ROWS > 4
      sum4 = add_input(sum4, row4, k, low, high);
      sum5 = add_input(sum5, row5, k, low, high);
      sum6 = add_input(sum6, row6, k, low, high);
      sum7 = add_input(sum7, row7, k, low, high);
#endif
    }
#if TILE_ROWS == 1
    var sums = array(sum0);
#elif TILE_ROWS == 2
    var sums = array(sum0, sum1);
#elif TILE_ROWS == 4
    var sums = array(sum0, sum1, sum2, sum3);
#else
    var sums = array(sum0, sum1, sum2, sum3, sum4, sum5, sum6, sum7);
#endif
    for (var i = 0u; i < TILE_ROWS; i++) {
      let total = subgroupAdd(sums[i]);
      if (mine && lane == 0) {
        output4(row + i, n, total);
      }
    }
  }
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

// y = x · weightsᵀ for many rows: tiles of both operands go through workgroup memory, k-major, four
// rows in a vec4; an invocation makes 4 x 4 results. Each is summed along k, one fma after another,
// whatever the tiles are.
#include "weights.wgsl"
#include "product.wgsl"
#param WORKGROUP: u32      // TILE_ROWS / 4 · TILE_OUTPUTS / 4
#param TILE_ROWS: u32      // multiples of 4
#param TILE_OUTPUTS: u32
#param TILE_K: u32

var<workgroup> x_tile: array<vec4<f32>, TILE_K * TILE_ROWS / 4>;        // [TILE_K, TILE_ROWS / 4]
var<workgroup> weight_tile: array<vec4<f32>, TILE_K * TILE_OUTPUTS / 4>;  // [TILE_K, TILE_OUTPUTS / 4]

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
  let column = local % (TILE_OUTPUTS / 4);
  let line = local / (TILE_OUTPUTS / 4);
  let tile_row = first_row() + group.y * TILE_ROWS;
  let first_n = group.x * TILE_OUTPUTS;
  var sum0 = vec4<f32>();
  var sum1 = vec4<f32>();
  var sum2 = vec4<f32>();
  var sum3 = vec4<f32>();
  for (var first_k = 0u; first_k < K; first_k += TILE_K) {
    // Blocks of 4 x 4 are turned on the way; neighbours read along k.
    for (var block = local; block < TILE_K / 4 * (TILE_ROWS / 4); block += WORKGROUP) {
      let k4 = block % (TILE_K / 4);
      let rows4 = block / (TILE_K / 4);
      let row = tile_row + 4 * rows4;
      let at = first_k / 4 + k4;
      let turned = transpose(mat4x4(
        row_input(row, at), row_input(row + 1, at), row_input(row + 2, at), row_input(row + 3, at)));
      let to = 4 * k4 * (TILE_ROWS / 4) + rows4;
      x_tile[to] = turned[0];
      x_tile[to + TILE_ROWS / 4] = turned[1];
      x_tile[to + 2 * (TILE_ROWS / 4)] = turned[2];
      x_tile[to + 3 * (TILE_ROWS / 4)] = turned[3];
    }
    for (var block = local; block < TILE_K / 4 * (TILE_OUTPUTS / 4); block += WORKGROUP) {
      let k4 = block % (TILE_K / 4);
      let outputs4 = block / (TILE_K / 4);
      let n = first_n + 4 * outputs4;
      let at = first_k / 4 + k4;
      let turned = transpose(mat4x4(
        row_weights(n, at), row_weights(n + 1, at), row_weights(n + 2, at), row_weights(n + 3, at)));
      let to = 4 * k4 * (TILE_OUTPUTS / 4) + outputs4;
      weight_tile[to] = turned[0];
      weight_tile[to + TILE_OUTPUTS / 4] = turned[1];
      weight_tile[to + 2 * (TILE_OUTPUTS / 4)] = turned[2];
      weight_tile[to + 3 * (TILE_OUTPUTS / 4)] = turned[3];
    }
    workgroupBarrier();
    for (var k = 0u; k < TILE_K; k++) {
      let a = x_tile[k * (TILE_ROWS / 4) + line];
      let b = weight_tile[k * (TILE_OUTPUTS / 4) + column];
      sum0 = fma(vec4(a.x), b, sum0);
      sum1 = fma(vec4(a.y), b, sum1);
      sum2 = fma(vec4(a.z), b, sum2);
      sum3 = fma(vec4(a.w), b, sum3);
    }
    workgroupBarrier();
  }
  let row = tile_row + 4 * line;
  let n = first_n + 4 * column;
  var sums = array(sum0, sum1, sum2, sum3);
  for (var i = 0u; i < 4; i++) {
    output4(row + i, n, sums[i]);
  }
}

fn row_input(row: u32, k4: u32) -> vec4<f32> {
  if (row >= end_row()) {
    return vec4<f32>();
  }
  if (K % TILE_K == 0) {
    return input4(row, k4);
  }
  return input4_or_zero(row, k4);
}

fn row_weights(n: u32, k4: u32) -> vec4<f32> {
  if (n >= N || k4 >= WEIGHT_STRIDE / 4) {
    return vec4<f32>();
  }
  return weights4(n * (WEIGHT_STRIDE / 4) + k4);
}

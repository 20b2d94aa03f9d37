// y = x · weightsᵀ without barriers or subgroups: an invocation makes TILE_ROWS x 4 results, each
// summed over k in the same order whatever TILE_ROWS is, so that no result depends on other rows.
#include "weights.wgsl"
#include "product.wgsl"
#param WORKGROUP: u32
#param TILE_ROWS: u32   // 1, 2, 4 or 8

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let n = id.x * 4;
  if (n >= N) {
    return;
  }
  // Rows and outputs past the end repeat the last one and are not stored.
  let w0 = n * (WEIGHT_STRIDE / 4);
  let w1 = min(n + 1, N - 1) * (WEIGHT_STRIDE / 4);
  let w2 = min(n + 2, N - 1) * (WEIGHT_STRIDE / 4);
  let w3 = min(n + 3, N - 1) * (WEIGHT_STRIDE / 4);
  let row = first_row() + id.y * TILE_ROWS;
  let last = end_row() - 1;
  var sum0 = vec4<f32>();
#if TILE_ROWS > 1
  let row1 = min(row + 1, last);
  var sum1 = vec4<f32>();
#endif
#if TILE_ROWS > 2
  let row2 = min(row + 2, last);
  let row3 = min(row + 3, last);
  var sum2 = vec4<f32>();
  var sum3 = vec4<f32>();
#endif
#if TILE_ROWS > 4
  let row4 = min(row + 4, last);
  let row5 = min(row + 5, last);
  let row6 = min(row + 6, last);
  let row7 = min(row + 7, last);
  var sum4 = vec4<f32>();
  var sum5 = vec4<f32>();
  var sum6 = vec4<f32>();
  var sum7 = vec4<f32>();
#endif
  for (var k = 0u; k < K / 4; k++) {
    let w = mat4x4(weights4(w0 + k), weights4(w1 + k), weights4(w2 + k), weights4(w3 + k));
    sum0 = accumulate(sum0, input4(row, k), w);
#if TILE_ROWS > 1
    sum1 = accumulate(sum1, input4(row1, k), w);
#endif
#if TILE_ROWS > 2
    sum2 = accumulate(sum2, input4(row2, k), w);
    sum3 = accumulate(sum3, input4(row3, k), w);
#endif
#if TILE_ROWS > 4
    sum4 = accumulate(sum4, input4(row4, k), w);
    sum5 = accumulate(sum5, input4(row5, k), w);
    sum6 = accumulate(sum6, input4(row6, k), w);
    sum7 = accumulate(sum7, input4(row7, k), w);
#endif
  }
#if TAIL > 0
  let k = K / 4;
  let w = mat4x4(weights4(w0 + k), weights4(w1 + k), weights4(w2 + k), weights4(w3 + k));
  sum0 = accumulate(sum0, input_tail(row), w);
#if TILE_ROWS > 1
  sum1 = accumulate(sum1, input_tail(row1), w);
#endif
#if TILE_ROWS > 2
  sum2 = accumulate(sum2, input_tail(row2), w);
  sum3 = accumulate(sum3, input_tail(row3), w);
#endif
#if TILE_ROWS > 4
  sum4 = accumulate(sum4, input_tail(row4), w);
  sum5 = accumulate(sum5, input_tail(row5), w);
  sum6 = accumulate(sum6, input_tail(row6), w);
  sum7 = accumulate(sum7, input_tail(row7), w);
#endif
#endif
  // A loop, since SwiftShader takes twice as long to compile the same thing written out.
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
    output4(row + i, n, sums[i]);
  }
}

// y = x · weightsᵀ without barriers or subgroups: an invocation makes TILE_ROWS x 4 results, each
// summed over k in the same order whatever TILE_ROWS is, so that no result depends on other rows.
#include "float_product.wgsl"
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
#for m < TILE_ROWS
  let row$m = min(row + $m, last);
  var sum$m = vec4<f32>();
#endfor
  for (var k = 0u; k < K / 4; k++) {
    let w = mat4x4(weights4(w0 + k), weights4(w1 + k), weights4(w2 + k), weights4(w3 + k));
#for m < TILE_ROWS
    sum$m = accumulate(sum$m, input4(row$m, k), w);
#endfor
  }
#if TAIL > 0
  let k = K / 4;
  let w = mat4x4(weights4(w0 + k), weights4(w1 + k), weights4(w2 + k), weights4(w3 + k));
#for m < TILE_ROWS
  sum$m = accumulate(sum$m, input_tail(row$m), w);
#endfor
#endif
  // A loop, since SwiftShader takes twice as long to compile the same thing written out.
  var sums: array<vec4<f32>, TILE_ROWS>;
#for m < TILE_ROWS
  sums[$m] = sum$m;
#endfor
  for (var i = 0u; i < TILE_ROWS; i++) {
    output4(row + i, n, sums[i]);
  }
}

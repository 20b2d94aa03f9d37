// Products of integers without barriers or subgroups: an invocation makes TILE_ROWS x 4 results, group
// after group.
#include "int_product.wgsl"
#param WORKGROUP: u32
#param TILE_ROWS: u32

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let n = id.x * 4;
  if (n >= N) {
    return;
  }
  // Rows and outputs past the end repeat the last one and are not stored.
  let first = first_row() + id.y * TILE_ROWS;
  let last = end_row() - 1;
#for j < 4
  let w$j = min(n + $j, N - 1) * K_GROUPS;
#endfor
#for m < TILE_ROWS
  let row$m = min(first + $m, last) * K_GROUPS;
  var sum$m = vec4<f32>();
#endfor
  for (var g = 0u; g < K_GROUPS; g++) {
#for j < 4
    let a$j = weight_group(w$j + g);
#endfor
    let scales = vec4(weight_scale(w0 + g), weight_scale(w1 + g), weight_scale(w2 + g),
                      weight_scale(w3 + g));
#for m < TILE_ROWS
    let at$m = row$m + g;
    let b$m = Group(x[2 * at$m], x[2 * at$m + 1]);
    let dots$m = vec4(dot32(a0, b$m), dot32(a1, b$m), dot32(a2, b$m), dot32(a3, b$m));
    sum$m = fma(vec4<f32>(dots$m), scales * x_scales[at$m], sum$m);
#endfor
  }
#for m < TILE_ROWS
  output4(first + $m, n, sum$m);
#endfor
}

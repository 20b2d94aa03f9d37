// Products of integers for few rows: LANES invocations side by side along k read 16 bytes of four weight
// rows each for TILE_ROWS rows of x.
enable subgroups;
#include "int_product.wgsl"
#include "few_outputs.wgsl"
#param TILE_ROWS: u32   // 1, 2, 4 or 8

#if WEIGHTS == int8
const STEPS = WEIGHT_STRIDE / 16;
#else
const STEPS = WEIGHT_STRIDE / 32;
#endif
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
    let n$j = min(n + $j, N - 1);
#endfor
#for m < TILE_ROWS
    var sum$m = vec4<f32>();
#endfor
    for (var round = 0u; round < ROUNDS; round++) {
      let k = round * LANES + lane;
      if (STEPS % LANES != 0 && k >= STEPS) {
        break;
      }
#for j < 4
      let w$j = weights[n$j * STEPS + k];
#endfor
#if WEIGHTS == int8
      let g = k / 2;
#else
      let g = k;
#endif
      let scales = vec4(weight_scale(n0 * K_GROUPS + g), weight_scale(n1 * K_GROUPS + g),
                        weight_scale(n2 * K_GROUPS + g), weight_scale(n3 * K_GROUPS + g));
#if WEIGHTS == int8
#for m < TILE_ROWS
      let b$m = x[row$m * STEPS + k];
      let dots$m = vec4(dot16(w0, b$m), dot16(w1, b$m), dot16(w2, b$m), dot16(w3, b$m));
#endfor
#else
#for j < 4
      let a$j = widen(w$j);
#endfor
#for m < TILE_ROWS
      let at$m = 2 * (row$m * STEPS + k);
      let b$m = Group(x[at$m], x[at$m + 1]);
      let dots$m = vec4(dot32(a0, b$m), dot32(a1, b$m), dot32(a2, b$m), dot32(a3, b$m));
#endfor
#endif
#for m < TILE_ROWS
      sum$m = fma(vec4<f32>(dots$m), scales * x_scales[row$m * K_GROUPS + g], sum$m);
#endfor
    }
#for m < TILE_ROWS
    keep_partial(pass_index, $m, local, subgroup_size, sum$m);
#endfor
  }
  finish_rows(group.x, first, last, local, subgroup_size);
}

// Products of integers for few rows: LANES invocations side by side along k read 16 bytes of four weight
// rows each for TILE_ROWS rows of x. With OUTPUT int8 a workgroup makes 32 gated values of each row and
// writes them as a group of integers.
enable subgroups;
#include "int_product.wgsl"
#include "lanes.wgsl"
#include "int8.wgsl"
#param TILE_ROWS: u32      // 1, 2, 4 or 8
#param OUTPUT: f32 | int8
#param PASSES: u32         // times that the workgroup makes GROUPS · 4 results of each row

#if WEIGHTS == int8
const STEPS = WEIGHT_STRIDE / 16;
#else
const STEPS = WEIGHT_STRIDE / 32;
#endif
// A constant number, so that drivers unroll the loop and have more reads under way.
const ROUNDS = (STEPS + LANES - 1) / LANES;

#if OUTPUT == int8
@group(0) @binding(7) var<storage, read_write> y_bytes: array<u32>;    // [rows, Y_GROUPS, 8]
@group(0) @binding(8) var<storage, read_write> y_scales: array<f32>;   // [rows, Y_GROUPS]

const Y_GROUPS = (N / 2 + 31) / 32;

var<workgroup> gated: array<vec2<f32>, TILE_ROWS * 16>;   // [TILE_ROWS, 16]
#endif

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
#endfor
  for (var pass_index = 0u; pass_index < PASSES; pass_index++) {
    let first_n = (group.x * PASSES + pass_index) * GROUPS * 4;
    let n = first_n + local / LANES * 4;
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
    keep_partial($m, local, subgroup_size, sum$m);
#endfor
    workgroupBarrier();
    if (local < TILE_ROWS * GROUPS) {
      let m = local / GROUPS;
      let to = local % GROUPS;
      let sums = total(m, to, subgroup_size);
#if OUTPUT == int8
      let pairs = vec4(silu(sums.x) * sums.y, silu(sums.z) * sums.w, 0.0, 0.0);
      // The four results of group `to` are two numbers: rows 2r and 2r + 1 are gate and up of number r.
      gated[m * 16 + pass_index * GROUPS + to] = select(vec2(0.0), pairs.xy,
        vec2(first_n + to * 4) + vec2(0u, 2u) < vec2(N));
#else
      output4(first + m, first_n + to * 4, sums);
#endif
    }
    workgroupBarrier();
  }
#if OUTPUT == int8
  // An invocation packs four numbers.
  if (local < TILE_ROWS * 8 && first + local / 8 <= last) {
    let m = local / 8;
    var largest = 0.0;
    for (var i = 0u; i < 16; i++) {
      let sizes = abs(gated[m * 16 + i]);
      largest = max(largest, max(sizes.x, sizes.y));
    }
    let four = vec4(gated[m * 16 + local % 8 * 2], gated[m * 16 + local % 8 * 2 + 1]);
    let y_group = (first + m) * Y_GROUPS + group.x;
    y_bytes[y_group * 8 + local % 8] = to_bytes(four, inverse_scale_of(largest));
    if (local % 8 == 0) {
      y_scales[y_group] = scale_of(largest);
    }
  }
#endif
}

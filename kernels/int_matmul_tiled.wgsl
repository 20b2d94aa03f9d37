// Products of integers for many rows: tiles of both operands go through workgroup memory, 16 signed bytes
// along k in an element. SLICES teams take every SLICES-th tile along k and add up in the end, which
// keeps more of a GPU busy where there are few tiles.
#include "int_product.wgsl"
#include "tile.wgsl"
#param TILE_GROUPS: u32    // groups of 32 along k in a tile
// Reads of an invocation for a tile.
#param X_LOADS: u32
#param W_LOADS: u32
#param X_SCALES: u32
#param W_SCALES: u32

const HALVES = TILE_GROUPS * 2;
const TILES = (K_GROUPS + TILE_GROUPS - 1) / TILE_GROUPS;

// Each [SLICES, TILE_GROUPS, 2, pitch] and [SLICES, TILE_GROUPS, pitch].
var<workgroup> x_tile: array<vec4<u32>, SLICES * TILE_GROUPS * 2 * X_PITCH>;
var<workgroup> weight_tile: array<vec4<u32>, SLICES * TILE_GROUPS * 2 * W_PITCH>;
var<workgroup> x_tile_scales: array<f32, SLICES * TILE_GROUPS * X_PITCH>;
var<workgroup> weight_tile_scales: array<f32, SLICES * TILE_GROUPS * W_PITCH>;

// A sum starts here, and its float32 with the same bits is 12582912 more than the sum: converting
// integers takes a unit that is slower than adding.
const BIAS_BITS = 0x4b400000;
const BIAS_VALUE = 12582912.0;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(local_invocation_index) index: u32) {
  let local = index % TEAM;
  let slice = index / TEAM;
  let line = line_of(local);
  let column = column_of(local);
  let first = first_row() + group.x * TILE_ROWS;
  let first_n = group.y * TILE_OUTPUTS;
  // Rows and outputs past the end repeat the last one and are not stored.
  let last = end_row() - 1;
#for i < ROWS_EACH
#for j < OUTPUTS_EACH
  var sum$i_$j = 0.0;
#endfor
#endfor
  for (var tile = 0u; tile < TILES; tile += SLICES) {
    let first_group = (tile + slice) * TILE_GROUPS;
    // All reads come before the first write: they are under way together.
#for i < X_LOADS
    let x_at$i = local + $i * TEAM;
    let x$i = x[min(first + x_at$i / HALVES, last) * K_GROUPS * 2
                + min(first_group * 2 + x_at$i % HALVES, K_GROUPS * 2 - 1)];
#endfor
#for i < W_LOADS
    let w_at$i = local + $i * TEAM;
#if WEIGHTS == int8
    let w$i = weights[min(first_n + w_at$i / HALVES, N - 1) * K_GROUPS * 2
                      + min(first_group * 2 + w_at$i % HALVES, K_GROUPS * 2 - 1)];
#else
    let w$i = weights[min(first_n + w_at$i / TILE_GROUPS, N - 1) * K_GROUPS
                      + min(first_group + w_at$i % TILE_GROUPS, K_GROUPS - 1)];
#endif
#endfor
#for i < X_SCALES
    let x_scale_at$i = local + $i * TEAM;
    let x_scale$i = x_scales[min(first + x_scale_at$i / TILE_GROUPS, last) * K_GROUPS
                             + min(first_group + x_scale_at$i % TILE_GROUPS, K_GROUPS - 1)];
#endfor
#for i < W_SCALES
    let w_scale_at$i = local + $i * TEAM;
    let w_scale$i = weight_scale(min(first_n + w_scale_at$i / TILE_GROUPS, N - 1) * K_GROUPS
                                 + min(first_group + w_scale_at$i % TILE_GROUPS, K_GROUPS - 1));
#endfor
#for i < X_LOADS
    if (HALVES * TILE_ROWS % TEAM == 0 || x_at$i < HALVES * TILE_ROWS) {
      x_tile[(slice * HALVES + x_at$i % HALVES) * X_PITCH + x_at$i / HALVES] = x$i;
    }
#endfor
#for i < W_LOADS
#if WEIGHTS == int8
    if (HALVES * TILE_OUTPUTS % TEAM == 0 || w_at$i < HALVES * TILE_OUTPUTS) {
      weight_tile[(slice * HALVES + w_at$i % HALVES) * W_PITCH + weight_place(w_at$i / HALVES)] = w$i;
    }
#else
    if (TILE_GROUPS * TILE_OUTPUTS % TEAM == 0 || w_at$i < TILE_GROUPS * TILE_OUTPUTS) {
      let wide$i = widen(w$i);
      let w_to$i = (slice * HALVES + w_at$i % TILE_GROUPS * 2) * W_PITCH
                   + weight_place(w_at$i / TILE_GROUPS);
      weight_tile[w_to$i] = wide$i.low;
      weight_tile[w_to$i + W_PITCH] = wide$i.high;
    }
#endif
#endfor
    // Groups past the end were read from the last one, and count nothing.
#for i < X_SCALES
    if (TILE_GROUPS * TILE_ROWS % TEAM == 0 || x_scale_at$i < TILE_GROUPS * TILE_ROWS) {
      x_tile_scales[(slice * TILE_GROUPS + x_scale_at$i % TILE_GROUPS) * X_PITCH
                    + x_scale_at$i / TILE_GROUPS] =
        select(x_scale$i, 0.0, first_group + x_scale_at$i % TILE_GROUPS >= K_GROUPS);
    }
#endfor
#for i < W_SCALES
    if (TILE_GROUPS * TILE_OUTPUTS % TEAM == 0 || w_scale_at$i < TILE_GROUPS * TILE_OUTPUTS) {
      weight_tile_scales[(slice * TILE_GROUPS + w_scale_at$i % TILE_GROUPS) * W_PITCH
                         + weight_place(w_scale_at$i / TILE_GROUPS)] = w_scale$i;
    }
#endfor
    workgroupBarrier();
    for (var g = 0u; g < TILE_GROUPS; g++) {
      let x_at = (slice * TILE_GROUPS + g) * X_PITCH + line;
      let w_at = (slice * TILE_GROUPS + g) * W_PITCH + column;
#for i < ROWS_EACH
      let a$i = x_tile[2 * (slice * TILE_GROUPS + g) * X_PITCH + line + $i * LINES];
      let b$i = x_tile[(2 * (slice * TILE_GROUPS + g) + 1) * X_PITCH + line + $i * LINES];
      let scale$i = x_tile_scales[x_at + $i * LINES];
#endfor
#for j < OUTPUTS_EACH
      let c$j = weight_tile[2 * (slice * TILE_GROUPS + g) * W_PITCH + column + $j * (COLUMNS + 1)];
      let d$j = weight_tile[(2 * (slice * TILE_GROUPS + g) + 1) * W_PITCH + column + $j * (COLUMNS + 1)];
      let weight_scale$j = weight_tile_scales[w_at + $j * (COLUMNS + 1)];
#for i < ROWS_EACH
      sum$i_$j = fma(scaled_dot(a$i, b$i, c$j, d$j), scale$i * weight_scale$j, sum$i_$j);
#endfor
#endfor
    }
    workgroupBarrier();
  }
#for i < ROWS_EACH
  finish(first + line + $i * LINES, first_n + column * 4, slice, local,
         vec4(sum$i_0, sum$i_1, sum$i_2, sum$i_3));
#if OUTPUTS_EACH == 8
  finish(first + line + $i * LINES, first_n + (COLUMNS + column) * 4, slice, local,
         vec4(sum$i_4, sum$i_5, sum$i_6, sum$i_7));
#endif
#endfor
}

fn scaled_dot(a: vec4<u32>, b: vec4<u32>, c: vec4<u32>, d: vec4<u32>) -> f32 {
  return bitcast<f32>(BIAS_BITS + dot16(a, c) + dot16(b, d)) - BIAS_VALUE;
}

// y = x · weightsᵀ for many rows: tiles of both operands go through workgroup memory, four numbers along
// k in an element. Each result is summed along k, one fma after another, whatever the tiles are.
#include "float_product.wgsl"
#include "tile.wgsl"
#param TILE_STEPS: u32     // steps of four numbers along k in a tile
// Reads of an invocation for a tile.
#param X_LOADS: u32
#param W_LOADS: u32

var<workgroup> x_tile: array<vec4<f32>, SLICES * TILE_STEPS * X_PITCH>;     // [SLICES, TILE_STEPS, X_PITCH]
var<workgroup> weight_tile: array<Packed4, SLICES * TILE_STEPS * W_PITCH>;   // [SLICES, TILE_STEPS, W_PITCH]

const STEPS = (K + 3) / 4;

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
  let x_first = slice * TILE_STEPS * X_PITCH;
  let w_first = slice * TILE_STEPS * W_PITCH;
  for (var tile = 0u; tile < STEPS; tile += TILE_STEPS * SLICES) {
    let step = tile + slice * TILE_STEPS;
    // All reads come before the first write: they are under way together.
#for i < X_LOADS
    let x_at$i = local + $i * TEAM;
    let x$i = row_input(min(first + x_at$i / TILE_STEPS, last), step + x_at$i % TILE_STEPS);
#endfor
#for i < W_LOADS
    let w_at$i = local + $i * TEAM;
    let w$i = row_weights(min(first_n + w_at$i / TILE_STEPS, N - 1), step + w_at$i % TILE_STEPS);
#endfor
#for i < X_LOADS
    if (TILE_STEPS * TILE_ROWS % TEAM == 0 || x_at$i < TILE_STEPS * TILE_ROWS) {
      x_tile[x_first + x_at$i % TILE_STEPS * X_PITCH + x_at$i / TILE_STEPS] = x$i;
    }
#endfor
#for i < W_LOADS
    if (TILE_STEPS * TILE_OUTPUTS % TEAM == 0 || w_at$i < TILE_STEPS * TILE_OUTPUTS) {
      weight_tile[w_first + w_at$i % TILE_STEPS * W_PITCH + weight_place(w_at$i / TILE_STEPS)] = w$i;
    }
#endfor
    workgroupBarrier();
    for (var k = 0u; k < TILE_STEPS; k++) {
#for i < ROWS_EACH
      let a$i = x_tile[x_first + k * X_PITCH + line + $i * LINES];
#endfor
#for j < OUTPUTS_EACH
      let b$j = unpack4(weight_tile[w_first + k * W_PITCH + $j * (COLUMNS + 1) + column]);
#for i < ROWS_EACH
      sum$i_$j = add_dot(sum$i_$j, a$i, b$j);
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

fn row_input(row: u32, k4: u32) -> vec4<f32> {
  if (K % (4 * TILE_STEPS * SLICES) == 0) {
    return input4(row, k4);
  }
  return input4_or_zero(row, k4);
}

fn row_weights(n: u32, k4: u32) -> Packed4 {
  let at = n * (WEIGHT_STRIDE / 4);
  if (WEIGHT_STRIDE % (4 * TILE_STEPS * SLICES) == 0) {
    return weights[at + k4];
  }
  return weights[at + min(k4, WEIGHT_STRIDE / 4 - 1)];
}

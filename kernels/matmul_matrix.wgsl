// y = x · weightsᵀ for many rows with the matrix units of a GPU. A workgroup makes ROW_PARTS x
// OUTPUT_PARTS parts, each of ROW_UNITS x OUTPUT_UNITS matrices that a subgroup holds. Both operands
// go through workgroup memory as the units take them, and results come back through it.

// Parts are chosen by index, of which the compiler does not know that a subgroup agrees.
diagnostic(off, chromium.subgroup_matrix_uniformity);
#include "float_product.wgsl"
#include "matrix_units.wgsl"
#param ROW_PARTS: u32
#param OUTPUT_PARTS: u32
#param ROW_UNITS: u32
#param OUTPUT_UNITS: u32
#param K_UNITS: u32       // matrices along k in a tile
#param WORKGROUP: u32     // a multiple of every subgroup size
// Reads of an invocation for a tile.
#param X_LOADS: u32
#param W_LOADS: u32

const PARTS = ROW_PARTS * OUTPUT_PARTS;
const PART_ROWS = ROW_UNITS * UNIT_ROWS;
const PART_OUTPUTS = OUTPUT_UNITS * UNIT_OUTPUTS;
const TILE_ROWS = ROW_PARTS * PART_ROWS;
const TILE_OUTPUTS = OUTPUT_PARTS * PART_OUTPUTS;
const TILE_K = K_UNITS * UNIT_K;
const TILE_STEPS = TILE_K / 4;
const STEPS = (K + 3) / 4;
// Rows of tiles are 16 bytes longer than they need be: neighbours fall on other banks.
#if INPUTS == f16
const PITCH = TILE_K + 8;
#else
const PITCH = TILE_K + 4;
#endif
const RESULT_PITCH = UNIT_OUTPUTS + 4;
const RUNS = UNIT_OUTPUTS / 4;

var<workgroup> x_tile: array<Element, TILE_ROWS * PITCH>;           // [TILE_ROWS, PITCH]
var<workgroup> weight_tile: array<Element, TILE_OUTPUTS * PITCH>;   // [TILE_OUTPUTS, PITCH]
// One matrix of each part: [PARTS, UNIT_ROWS, RESULT_PITCH]
var<workgroup> results: array<f32, PARTS * UNIT_ROWS * RESULT_PITCH>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(local_invocation_index) index: u32,
        @builtin(subgroup_size) subgroup_size: u32) {
  let first = first_row() + group.x * TILE_ROWS;
  let first_n = group.y * TILE_OUTPUTS;
  // Rows and outputs past the end repeat the last one and are not stored.
  let last = end_row() - 1;
  // One for each part, unless the driver makes larger subgroups here than when it was asked.
  let subgroups = WORKGROUP / subgroup_size;
  for (var first_part = 0u; first_part < PARTS; first_part += subgroups) {
    let part = first_part + index / subgroup_size;
    let x_first = part / OUTPUT_PARTS * PART_ROWS * PITCH;
    let w_first = part % OUTPUT_PARTS * PART_OUTPUTS * PITCH;
#for i < ROW_UNITS
#for j < OUTPUT_UNITS
    var sum$i_$j = Result();
#endfor
#endfor
    for (var tile = 0u; tile < STEPS; tile += TILE_STEPS) {
      // All reads come before the first write: they are under way together.
#for i < X_LOADS
      let x_at$i = index + $i * WORKGROUP;
      let x$i = row_input(min(first + x_at$i / TILE_STEPS, last), tile + x_at$i % TILE_STEPS);
#endfor
#for i < W_LOADS
      let w_at$i = index + $i * WORKGROUP;
      let w$i = row_weights(min(first_n + w_at$i / TILE_STEPS, N - 1), tile + w_at$i % TILE_STEPS);
#endfor
#for i < X_LOADS
      if (TILE_STEPS * TILE_ROWS % WORKGROUP == 0 || x_at$i < TILE_STEPS * TILE_ROWS) {
        let at = x_at$i / TILE_STEPS * PITCH + x_at$i % TILE_STEPS * 4;
        let four = elements_of(x$i);
        x_tile[at] = four.x;
        x_tile[at + 1] = four.y;
        x_tile[at + 2] = four.z;
        x_tile[at + 3] = four.w;
      }
#endfor
#for i < W_LOADS
      if (TILE_STEPS * TILE_OUTPUTS % WORKGROUP == 0 || w_at$i < TILE_STEPS * TILE_OUTPUTS) {
        let at = w_at$i / TILE_STEPS * PITCH + w_at$i % TILE_STEPS * 4;
#if INPUTS == f16
        let four = elements_of_halves(w$i);
#else
        let four = unpack4(w$i);
#endif
        weight_tile[at] = four.x;
        weight_tile[at + 1] = four.y;
        weight_tile[at + 2] = four.z;
        weight_tile[at + 3] = four.w;
      }
#endfor
      workgroupBarrier();
      if (part < PARTS) {
        for (var k = 0u; k < TILE_K; k += UNIT_K) {
#for i < ROW_UNITS
          let left_at$i = x_first + $i * UNIT_ROWS * PITCH + k;
          let left$i = subgroupMatrixLoad<Left>(&x_tile, left_at$i, false, PITCH);
#endfor
#for j < OUTPUT_UNITS
          // Weights lie output by output: these are the columns of the matrix on the right.
          let right_at$j = w_first + $j * UNIT_OUTPUTS * PITCH + k;
          let right$j = subgroupMatrixLoad<Right>(&weight_tile, right_at$j, true, PITCH);
#for i < ROW_UNITS
          sum$i_$j = subgroupMatrixMultiplyAccumulate(left$i, right$j, sum$i_$j);
#endfor
#endfor
        }
      }
      workgroupBarrier();
    }
#for i < ROW_UNITS
#for j < OUTPUT_UNITS
    if (part < PARTS) {
      subgroupMatrixStore(&results, part * UNIT_ROWS * RESULT_PITCH, sum$i_$j, false,
                          RESULT_PITCH);
    }
    workgroupBarrier();
    for (var at = index; at < PARTS * UNIT_ROWS * RUNS; at += WORKGROUP) {
      let made = at / (UNIT_ROWS * RUNS);
      if (made >= first_part && made < first_part + subgroups) {
        let row = first + made / OUTPUT_PARTS * PART_ROWS + $i * UNIT_ROWS + at / RUNS % UNIT_ROWS;
        let n = first_n + made % OUTPUT_PARTS * PART_OUTPUTS + $j * UNIT_OUTPUTS + at % RUNS * 4;
        output4(row, n, results4(at / RUNS * RESULT_PITCH + at % RUNS * 4));
      }
    }
    workgroupBarrier();
#endfor
#endfor
  }
}

fn results4(at: u32) -> vec4<f32> {
  return vec4(results[at], results[at + 1], results[at + 2], results[at + 3]);
}

fn row_input(row: u32, k4: u32) -> vec4<f32> {
#if INPUTS == f16
  // One activation beyond the largest float16 number would be infinite and take its whole row along;
  // cut off it costs that row some accuracy.
  return clamp(input_or_zero(row, k4), vec4(-65504.0), vec4(65504.0));
#else
  return input_or_zero(row, k4);
#endif
}

fn input_or_zero(row: u32, k4: u32) -> vec4<f32> {
  if (K % TILE_K == 0) {
    return input4(row, k4);
  }
  return input4_or_zero(row, k4);
}

fn row_weights(n: u32, k4: u32) -> Packed4 {
  let at = n * (WEIGHT_STRIDE / 4);
  if (WEIGHT_STRIDE % TILE_K == 0) {
    return weights[at + k4];
  }
  return weights[at + min(k4, WEIGHT_STRIDE / 4 - 1)];
}

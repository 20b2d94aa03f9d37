// RMSNorm over rows of DIM numbers: y = act(x) · w / sqrt(mean(act(x)²) + EPS), then · silu(gate).
// One row a workgroup (subgroup variant) or an invocation (plain variant).
#include "step.wgsl"
#include "math.wgsl"
#param VARIANT: subgroup | plain
#param WORKGROUP: u32
#param DIM: u32
#param EPS: f32
#param HEADS: u32                   // rows of each token: x is [tokens, HEADS, DIM]
#param ROWS: tokens | logit_rows    // logit_rows: row i is token logit_rows[i]; HEADS is 1
#param ACTIVATION: none | silu      // applied to x first
#param WEIGHT: none | vector
#param GATE: none | silu            // multiplied onto the result
#param GATE_STRIDE: u32             // gate of token t, head h: row[t · GATE_STRIDE + GATE_OFFSET + h · DIM]
#param GATE_OFFSET: u32
#if VARIANT == subgroup
#include "reduce.wgsl"
#endif

@group(0) @binding(0) var<uniform> counts: Counts;
@group(0) @binding(1) var<storage, read> x: array<f32>;             // [tokens, HEADS, DIM]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;       // [rows, HEADS, DIM]
#if WEIGHT == vector
@group(0) @binding(3) var<storage, read> weight: array<f32>;        // [DIM]
#endif
#if GATE == silu
@group(0) @binding(4) var<storage, read> gate: array<f32>;          // [tokens, GATE_STRIDE]
#endif
#if ROWS == logit_rows
@group(0) @binding(5) var<storage, read> logit_rows: array<u32>;    // [logit rows]
#endif

fn input(at: u32) -> f32 {
#if ACTIVATION == silu
  return silu(x[at]);
#else
  return x[at];
#endif
}

fn output(row: u32, i: u32, normed: f32) -> f32 {
  var value = normed;
#if WEIGHT == vector
  value *= weight[i];
#endif
#if GATE == silu
  value *= silu(gate[row / HEADS * GATE_STRIDE + GATE_OFFSET + row % HEADS * DIM + i]);
#endif
  return value;
}

#if ROWS == logit_rows
fn source(row: u32) -> u32 { return logit_rows[row] * DIM; }
fn row_count() -> u32 { return counts.logit_rows; }
#else
fn source(row: u32) -> u32 { return row * DIM; }
fn row_count() -> u32 { return counts.tokens * HEADS; }
#endif

#if VARIANT == subgroup
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32,
        @builtin(subgroup_size) subgroup_size: u32) {
  let row = group.y * groups.x + group.x;
  if (row >= row_count()) {
    return;
  }
  let first = source(row);
  var squares = 0.0;
  for (var i = lane; i < DIM; i += WORKGROUP) {
    let value = input(first + i);
    squares += value * value;
  }
  let scale = inverseSqrt(workgroup_sum(squares, lane, subgroup_size) / f32(DIM) + EPS);
  for (var i = lane; i < DIM; i += WORKGROUP) {
    y[row * DIM + i] = output(row, i, input(first + i) * scale);
  }
}
#else
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>) {
  let row = id.y * groups.x * WORKGROUP + id.x;
  if (row >= row_count()) {
    return;
  }
  let first = source(row);
  var squares = 0.0;
  for (var i = 0u; i < DIM; i++) {
    let value = input(first + i);
    squares += value * value;
  }
  let scale = inverseSqrt(squares / f32(DIM) + EPS);
  for (var i = 0u; i < DIM; i++) {
    y[row * DIM + i] = output(row, i, input(first + i) * scale);
  }
}
#endif

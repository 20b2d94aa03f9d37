// RMSNorm over rows of DIM numbers: y = act(x) · w / sqrt(mean(act(x)²) + EPS), then · silu(gate).
// One row a workgroup, which keeps it in registers (subgroup variant), or an invocation (plain).
#include "rows.wgsl"
#include "math.wgsl"
#include "blocks.wgsl"
#param VARIANT: subgroup | plain
#param WORKGROUP: u32               // subgroup: a multiple of 8
#param DIM: u32
#param EPS: f32
#param HEADS: u32                   // rows of each token: x is [tokens, HEADS, DIM]
#param ACTIVATION: none | silu      // applied to x first
#param WEIGHT: none | vector
#param GATE: none | silu            // multiplied onto the result
#param GATE_STRIDE: u32             // gate of token t, head h: row[t · GATE_STRIDE + GATE_OFFSET + h · DIM]
#param GATE_OFFSET: u32
#param VECTOR: yes | no             // DIM, GATE_STRIDE and GATE_OFFSET are multiples of four
#param OUTPUT: f32 | int8           // int8: several heads have a DIM that is a multiple of 32
#if VARIANT == subgroup
#include "reduce.wgsl"
#endif
#if OUTPUT == int8
#include "int8.wgsl"
#endif

// Blocks of four numbers in a row: read, and written.
const BLOCKS = (DIM + 3) / 4;
#if OUTPUT == int8
const OUTPUT_BLOCKS = (DIM + 31) / 32 * 8;
#else
const OUTPUT_BLOCKS = BLOCKS;
#endif

@group(0) @binding(0) var<uniform> counts: Counts;
#if VECTOR == yes
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;       // [tokens, HEADS, DIM]
#else
@group(0) @binding(1) var<storage, read> x: array<f32>;
#endif
#if OUTPUT == int8
@group(0) @binding(2) var<storage, read_write> y: array<u32>;       // [rows, HEADS, OUTPUT_BLOCKS]
@group(0) @binding(6) var<storage, read_write> scales: array<f32>;  // [rows, HEADS, OUTPUT_BLOCKS / 8]
#elif VECTOR == yes
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>; // [rows, HEADS, DIM]
#else
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
#endif
#if WEIGHT == vector
#if VECTOR == yes
@group(0) @binding(3) var<storage, read> weight: array<vec4<f32>>;  // [DIM]
#else
@group(0) @binding(3) var<storage, read> weight: array<f32>;
#endif
#endif
#if GATE == silu
#if VECTOR == yes
@group(0) @binding(4) var<storage, read> gate: array<vec4<f32>>;    // [tokens, GATE_STRIDE]
#else
@group(0) @binding(4) var<storage, read> gate: array<f32>;
#endif
#endif
#if ROWS == logit_rows
@group(0) @binding(5) var<storage, read> logit_rows: array<u32>;    // [logit rows]: HEADS is 1
#endif

// A block of a row's inputs; zero past its end.
fn input4(row: u32, block: u32) -> vec4<f32> {
  if (block >= BLOCKS) {
    return vec4<f32>();
  }
#if ROWS == logit_rows
  let source = logit_rows[row];
#else
  let source = row;
#endif
#if VECTOR == yes
  let value = x[source * BLOCKS + block];
#else
  let at = source * DIM + places(block, DIM);
  let value = vec4(x[at.x], x[at.y], x[at.z], x[at.w]) * inside(block, DIM);
#endif
#if ACTIVATION == silu
  return silu4(value);
#else
  return value;
#endif
}

// The block behind weights and gate; zero stays zero.
fn finish(row: u32, block: u32, normed: vec4<f32>) -> vec4<f32> {
  var value = normed;
#if WEIGHT == vector || GATE == silu
  if (block >= BLOCKS) {
    return value;
  }
#endif
#if WEIGHT == vector
#if VECTOR == yes
  value *= weight[block];
#else
  let w = places(block, DIM);
  value *= vec4(weight[w.x], weight[w.y], weight[w.z], weight[w.w]);
#endif
#endif
#if GATE == silu
  let first = row / HEADS * GATE_STRIDE + GATE_OFFSET + row % HEADS * DIM;
#if VECTOR == yes
  value *= silu4(gate[first / 4 + block]);
#else
  let g = first + places(block, DIM);
  value *= silu4(vec4(gate[g.x], gate[g.y], gate[g.z], gate[g.w]));
#endif
#endif
  return value;
}

#if OUTPUT == f32
fn store(row: u32, block: u32, value: vec4<f32>) {
#if VECTOR == yes
  if (block < BLOCKS) {
    y[row * BLOCKS + block] = value;
  }
#else
  for (var i = 0u; i < 4 && block * 4 + i < DIM; i++) {
    y[row * DIM + block * 4 + i] = value[i];
  }
#endif
}
#else
fn store(row: u32, block: u32, value: vec4<f32>, largest: f32) {
  if (block < OUTPUT_BLOCKS) {
    y[row * OUTPUT_BLOCKS + block] = to_bytes(value, inverse_scale_of(largest));
    if (block % 8 == 0) {
      scales[(row * OUTPUT_BLOCKS + block) / 8] = scale_of(largest);
    }
  }
}
#endif

#if VARIANT == subgroup
// A row is taken in tiles of four blocks an invocation. A row of one tile is read once.
const TILE = 4 * WORKGROUP;
const TILES = (OUTPUT_BLOCKS + TILE - 1) / TILE;

fn load_tile(row: u32, block: u32) -> mat4x4<f32> {
  return mat4x4(input4(row, block), input4(row, block + WORKGROUP),
                input4(row, block + 2 * WORKGROUP), input4(row, block + 3 * WORKGROUP));
}

fn squares_of(tile: mat4x4<f32>) -> f32 {
  return dot(tile[0], tile[0]) + dot(tile[1], tile[1])
    + (dot(tile[2], tile[2]) + dot(tile[3], tile[3]));
}

#if OUTPUT == int8
// Largest number of each invocation's four blocks. Eight invocations hold a group of 32.
var<workgroup> maxima: array<vec4<f32>, WORKGROUP>;
#endif

fn store_tile(row: u32, block: u32, normed: mat4x4<f32>, lane: u32) {
  let a = finish(row, block, normed[0]);
  let b = finish(row, block + WORKGROUP, normed[1]);
  let c = finish(row, block + 2 * WORKGROUP, normed[2]);
  let d = finish(row, block + 3 * WORKGROUP, normed[3]);
#if OUTPUT == int8
  maxima[lane] = vec4(largest_of(a), largest_of(b), largest_of(c), largest_of(d));
  workgroupBarrier();
  var largest = vec4<f32>();
  for (var i = 0u; i < 8; i++) {
    largest = max(largest, maxima[lane / 8 * 8 + i]);
  }
  if (TILES > 1) {
    workgroupBarrier();
  }
  store(row, block, a, largest.x);
  store(row, block + WORKGROUP, b, largest.y);
  store(row, block + 2 * WORKGROUP, c, largest.z);
  store(row, block + 3 * WORKGROUP, d, largest.w);
#else
  store(row, block, a);
  store(row, block + WORKGROUP, b);
  store(row, block + 2 * WORKGROUP, c);
  store(row, block + 3 * WORKGROUP, d);
#endif
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32,
        @builtin(subgroup_size) subgroup_size: u32) {
  let row = first_row() * HEADS + group.y * groups.x + group.x;
  if (row >= end_row() * HEADS) {
    return;
  }
  let first = load_tile(row, lane);
  var squares = squares_of(first);
  for (var tile = 1u; tile < TILES; tile++) {
    squares += squares_of(load_tile(row, tile * TILE + lane));
  }
  let scale = inverseSqrt(workgroup_sum(squares, lane, subgroup_size) / f32(DIM) + EPS);
  store_tile(row, lane, first * scale, lane);
  for (var tile = 1u; tile < TILES; tile++) {
    let block = tile * TILE + lane;
    store_tile(row, block, load_tile(row, block) * scale, lane);
  }
}
#else
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>) {
  let row = first_row() * HEADS + id.y * groups.x * WORKGROUP + id.x;
  if (row >= end_row() * HEADS) {
    return;
  }
  var squares = 0.0;
  for (var block = 0u; block < BLOCKS; block++) {
    let value = input4(row, block);
    squares += dot(value, value);
  }
  let scale = inverseSqrt(squares / f32(DIM) + EPS);
#if OUTPUT == int8
  for (var first = 0u; first < OUTPUT_BLOCKS; first += 8) {
    var largest = 0.0;
    for (var block = first; block < first + 8; block++) {
      largest = max(largest, largest_of(finish(row, block, input4(row, block) * scale)));
    }
    for (var block = first; block < first + 8; block++) {
      store(row, block, finish(row, block, input4(row, block) * scale), largest);
    }
  }
#else
  for (var block = 0u; block < BLOCKS; block++) {
    store(row, block, finish(row, block, input4(row, block) * scale));
  }
#endif
}
#endif

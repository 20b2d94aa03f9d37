// x[t] = table[id]: one invocation copies four numbers. tokens[t] is the id, checked by the host, or
// names the slot whose last sampled token is meant.
#include "step.wgsl"
#param WORKGROUP: u32
#param DIM: u32
#param TABLE: f16 | f32 | int8 | int4   // layouts: src/gpu/matrix.ts
#param STRIDE: u32                      // from one row to the next

@group(0) @binding(0) var<uniform> counts: Counts;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;      // [tokens]
@group(0) @binding(2) var<storage, read> table: array<u32>;       // [vocabulary, STRIDE]
@group(0) @binding(3) var<storage, read_write> x: array<f32>;     // [tokens, DIM]
@group(0) @binding(4) var<storage, read> sampled: array<u32>;     // [slots]
#if TABLE == int8 || TABLE == int4
@group(0) @binding(5) var<storage, read> scales: array<u32>;      // [vocabulary, STRIDE / 32] f16
#endif

const FROM_SLOT = 0x80000000u;

// Numbers 4 · at … 4 · at + 3 of the table.
fn table4(at: u32) -> vec4<f32> {
#if TABLE == f32
  return bitcast<vec4<f32>>(vec4(table[4 * at], table[4 * at + 1], table[4 * at + 2], table[4 * at + 3]));
#elif TABLE == f16
  return vec4(unpack2x16float(table[2 * at]), unpack2x16float(table[2 * at + 1]));
#else
  let group = at / 8;
  let scale = unpack2x16float(scales[group / 2])[group % 2];
#if TABLE == int8
  return vec4<f32>(unpack4xI8(table[at])) * scale;
#else
  // Four nibbles, low or high ones, as the high halves of bytes: 16 times their worth.
  let word = select(table[at / 2] << 4, table[at / 2], at % 2 == 1);
  return vec4<f32>(unpack4xI8(word & 0xf0f0f0f0)) * (scale / 16);
#endif
#endif
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x * 4;
  let token = id.y;
  if (i >= DIM || token >= counts.tokens) {
    return;
  }
  var row = tokens[token];
  if (row >= FROM_SLOT) {
    row = sampled[row - FROM_SLOT];
  }
  let numbers = table4(row * (STRIDE / 4) + id.x);
  let to = token * DIM + i;
  x[to] = numbers.x;
  if (i + 1 < DIM) {
    x[to + 1] = numbers.y;
  }
  if (i + 2 < DIM) {
    x[to + 2] = numbers.z;
  }
  if (i + 3 < DIM) {
    x[to + 3] = numbers.w;
  }
}

// Inputs and weights of products of integers: both in groups of 32 along k with a scale each. The sum
// over a group is exact; groups are added up in float32.
#include "product.wgsl"
#param WEIGHTS: int8 | int4
#param WEIGHT_STRIDE: u32   // a multiple of 32; integers past K are zero

const K_GROUPS = WEIGHT_STRIDE / 32;

@group(0) @binding(1) var<storage, read> x: array<vec4<u32>>;         // [rows, K_GROUPS, 2] int8
@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>;   // [N, K_GROUPS, 2 (int8) or 1]
@group(0) @binding(5) var<storage, read> x_scales: array<f32>;        // [rows, K_GROUPS]
@group(0) @binding(6) var<storage, read> weight_scales: array<u32>;   // [N, K_GROUPS] f16

// Nibbles are taken where they are, as signed bytes worth 16 times as much: exact in any float.
#if WEIGHTS == int4
const UNIT = 0.0625;
#else
const UNIT = 1.0;
#endif

// Scale of group `at` of the whole matrix.
fn weight_scale(at: u32) -> f32 {
  return UNIT * unpack2x16float(weight_scales[at / 2] >> (at % 2 * 16)).x;
}

// 32 signed bytes.
struct Group {
  low: vec4<u32>,
  high: vec4<u32>,
}

#if WEIGHTS == int8
// Group `at` of the whole matrix.
fn weight_group(at: u32) -> Group {
  return Group(weights[2 * at], weights[2 * at + 1]);
}
#else
fn weight_group(at: u32) -> Group {
  return widen(weights[at]);
}

// Byte j of word i has number 8i + j of the group in its low nibble, 8i + 4 + j in its high one.
fn widen(packed: vec4<u32>) -> Group {
  let high = packed & vec4(0xf0f0f0f0u);
  let low = (packed << vec4(4u)) & vec4(0xf0f0f0f0u);
  return Group(vec4(low.x, high.x, low.y, high.y), vec4(low.z, high.z, low.w, high.w));
}
#endif

fn dot16(a: vec4<u32>, b: vec4<u32>) -> i32 {
  return dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) + dot4I8Packed(a.z, b.z)
       + dot4I8Packed(a.w, b.w);
}

fn dot32(a: Group, b: Group) -> i32 {
  return dot16(a.low, b.low) + dot16(a.high, b.high);
}

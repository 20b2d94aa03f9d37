// Reading float weight matrices [rows, WEIGHT_STRIDE], WEIGHT_STRIDE a multiple of 8, zero past the width.
#param WEIGHTS: f16 | f32
#param WEIGHT_STRIDE: u32
#param LOAD: 4 | 8   // numbers read at a time

#if WEIGHTS == f16
// Two float16 numbers a word, so that no shader-f16 feature is needed.
alias Packed4 = vec2<u32>;

fn unpack4(packed: Packed4) -> vec4<f32> {
  return vec4(unpack2x16float(packed.x), unpack2x16float(packed.y));
}
#else
alias Packed4 = vec4<f32>;

fn unpack4(packed: Packed4) -> vec4<f32> {
  return packed;
}
#endif

#if LOAD == 4
@group(0) @binding(2) var<storage, read> weights: array<Packed4>;   // [rows, WEIGHT_STRIDE / 4]

// Numbers 4 · at … 4 · at + 3 of the matrix.
fn weights4(at: u32) -> vec4<f32> {
  return unpack4(weights[at]);
}
#else
struct Weights8 {
  low: vec4<f32>,
  high: vec4<f32>,
}

#if WEIGHTS == f16
@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>;   // [rows, WEIGHT_STRIDE / 8]

// Numbers 8 · at … 8 · at + 7 of the matrix.
fn weights8(at: u32) -> Weights8 {
  let packed = weights[at];
  return Weights8(unpack4(packed.xy), unpack4(packed.zw));
}
#else
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;   // [rows, WEIGHT_STRIDE / 4]

// Numbers 8 · at … 8 · at + 7 of the matrix.
fn weights8(at: u32) -> Weights8 {
  return Weights8(weights[2 * at], weights[2 * at + 1]);
}
#endif
#endif

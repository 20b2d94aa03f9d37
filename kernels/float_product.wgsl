// Inputs of products with float weights: rows of float32 numbers, four at a time.
#include "weights.wgsl"
#include "product.wgsl"
#param TAIL: u32               // K % 4
#param INPUT: vec4 | scalar    // vec4: K is a multiple of 4

#if INPUT == vec4
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;    // [rows, K / 4]
#else
@group(0) @binding(1) var<storage, read> x: array<f32>;          // [rows, K]
#endif

// Inputs 4 · k4 … 4 · k4 + 3 of a row, k4 < K / 4.
fn input4(row: u32, k4: u32) -> vec4<f32> {
#if INPUT == vec4
  return x[row * (K / 4) + k4];
#else
  let at = row * K + 4 * k4;
  return vec4(x[at], x[at + 1], x[at + 2], x[at + 3]);
#endif
}

#if TAIL > 0
// The last TAIL inputs of a row, then zeros: what follows in memory may be NaN.
fn input_tail(row: u32) -> vec4<f32> {
  let at = row * K + K - TAIL;
#if TAIL == 1
  return vec4(x[at], 0.0, 0.0, 0.0);
#elif TAIL == 2
  return vec4(x[at], x[at + 1], 0.0, 0.0);
#else
  return vec4(x[at], x[at + 1], x[at + 2], 0.0);
#endif
}
#endif

// As input4, for any k4: zeros past the row's end.
fn input4_or_zero(row: u32, k4: u32) -> vec4<f32> {
  if (k4 < K / 4) {
    return input4(row, k4);
  }
#if TAIL > 0
  if (k4 == K / 4) {
    return input_tail(row);
  }
#endif
  return vec4<f32>();
}

// sums + x · w, one fma after another. Where a text leaves it to the compiler which products to
// round, its variants for different numbers of rows could get different bits.
fn accumulate(sums: vec4<f32>, x: vec4<f32>, w: mat4x4<f32>) -> vec4<f32> {
  return vec4(add_dot(sums.x, x, w[0]), add_dot(sums.y, x, w[1]),
              add_dot(sums.z, x, w[2]), add_dot(sums.w, x, w[3]));
}

fn add_dot(sum: f32, a: vec4<f32>, b: vec4<f32>) -> f32 {
  return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

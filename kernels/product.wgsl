// What the matrix products share: inputs, four numbers at a time, and what is done with results.
#include "step.wgsl"
#include "math.wgsl"
#param N: u32                          // rows of the weight matrix
#param K: u32                          // its columns
#param TAIL: u32                       // K % 4
#param ROWS: tokens | decode_tokens | prompt_tokens | logit_rows
#param INPUT: vec4 | scalar            // vec4: K, INPUT_STRIDE and INPUT_OFFSET are multiples of 4
#param INPUT_STRIDE: u32
#param INPUT_OFFSET: u32
#param BIAS: none | vector
#param EPILOGUE: store | add | swiglu

@group(0) @binding(0) var<uniform> counts: Counts;
#if INPUT == vec4
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;    // [rows, INPUT_STRIDE / 4]
#else
@group(0) @binding(1) var<storage, read> x: array<f32>;          // [rows, INPUT_STRIDE]
#endif
@group(0) @binding(3) var<storage, read_write> y: array<f32>;    // [rows, N]; swiglu: [rows, N / 2]
#if BIAS == vector
@group(0) @binding(4) var<storage, read> bias: array<f32>;       // [N]
#endif

// The dispatch makes rows first_row() … end_row() - 1.
fn first_row() -> u32 {
#if ROWS == prompt_tokens
  return counts.decodes;
#else
  return 0;
#endif
}

fn end_row() -> u32 {
#if ROWS == logit_rows
  return counts.logit_rows;
#elif ROWS == decode_tokens
  return counts.decodes;
#else
  return counts.tokens;
#endif
}

// Inputs 4 · k4 … 4 · k4 + 3 of a row, k4 < K / 4.
fn input4(row: u32, k4: u32) -> vec4<f32> {
#if INPUT == vec4
  return x[row * (INPUT_STRIDE / 4) + INPUT_OFFSET / 4 + k4];
#else
  let at = row * INPUT_STRIDE + INPUT_OFFSET + 4 * k4;
  return vec4(x[at], x[at + 1], x[at + 2], x[at + 3]);
#endif
}

#if TAIL > 0
// The last TAIL inputs of a row, then zeros: what follows in memory may be NaN.
fn input_tail(row: u32) -> vec4<f32> {
  let at = row * INPUT_STRIDE + INPUT_OFFSET + K - TAIL;
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

fn output(row: u32, n: u32, sum: f32) {
  if (N % 4 != 0 && n >= N) {
    return;
  }
#if BIAS == vector
  let value = sum + bias[n];
#else
  let value = sum;
#endif
#if EPILOGUE == add
  y[row * N + n] += value;
#else
  y[row * N + n] = value;
#endif
}

// Takes the results n … n + 3 of a row, n a multiple of 4; those past N are left out.
fn output4(row: u32, n: u32, sums: vec4<f32>) {
  if (row >= end_row() || n >= N) {
    return;
  }
#if EPILOGUE == swiglu
  output_swiglu(row, n, sums.xy);
  output_swiglu(row, n + 2, sums.zw);
#else
  output(row, n, sums.x);
  output(row, n + 1, sums.y);
  output(row, n + 2, sums.z);
  output(row, n + 3, sums.w);
#endif
}

#if EPILOGUE == swiglu
// Weight rows 2r and 2r + 1 are gate and up of y[r].
fn output_swiglu(row: u32, n: u32, sums: vec2<f32>) {
  if (N % 4 != 0 && n >= N) {
    return;
  }
#if BIAS == vector
  let pair = sums + vec2(bias[n], bias[n + 1]);
#else
  let pair = sums;
#endif
  y[row * (N / 2) + n / 2] = silu(pair.x) * pair.y;
}
#endif

// What the matrix products y = x · weightsᵀ share: their size, their rows, and what is done with results.
#include "rows.wgsl"
#include "math.wgsl"
#param N: u32                          // rows of the weight matrix
#param K: u32                          // its columns
#param BIAS: none | vector
#param EPILOGUE: store | add | swiglu

@group(0) @binding(0) var<uniform> counts: Counts;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;    // [rows, N]; swiglu: [rows, N / 2]
#if BIAS == vector
@group(0) @binding(4) var<storage, read> bias: array<f32>;       // [N]
#endif

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

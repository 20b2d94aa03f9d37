// Elementwise functions. WGSL implementations may assume that no inf or NaN occurs, and have no
// log1p or expm1 (WGSL specification, "Floating Point Evaluation"); the series are good to 1e-6.

fn sigmoid(x: f32) -> f32 {
  let e = exp(-abs(x));
  return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

fn silu(x: f32) -> f32 {
  return x * sigmoid(x);
}

fn silu4(v: vec4<f32>) -> vec4<f32> {
  return vec4(silu(v.x), silu(v.y), silu(v.z), silu(v.w));
}

// log(1 + e) for e in [0, 1] as 2 atanh(e / (2 + e)); log() may be off by 2^-21 near 1, which is a
// relative error of 1e-5 where the result is small.
fn log1p_unit(e: f32) -> f32 {
  let u = e / (2.0 + e);
  let w = u * u;
  return 2.0 * u * (1.0 + w * (1.0 / 3.0 + w * (1.0 / 5.0 + w * (1.0 / 7.0 + w * (1.0 / 9.0
    + w * (1.0 / 11.0 + w * (1.0 / 13.0)))))));
}

fn log_sigmoid(x: f32) -> f32 {
  return min(x, 0.0) - log1p_unit(exp(-abs(x)));
}

// 1 - exp(f) for f <= 0 without cancellation.
fn one_minus_exp(f: f32) -> f32 {
  let y = -f;
  let series = y * (1.0 - y / 2.0 * (1.0 - y / 3.0 * (1.0 - y / 4.0 * (1.0 - y / 5.0))));
  return select(1.0 - exp(f), series, y < 0.1);
}

// The tanh form of GELU: (1 + tanh(u)) / 2 is sigmoid(2u), which keeps its digits in the tail.
fn gelu_tanh(x: f32) -> f32 {
  return x * sigmoid(2.0 * 0.79788456 * x * (1.0 + 0.044715 * x * x));
}

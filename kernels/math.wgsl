// Elementwise functions. WGSL implementations may assume that no inf or NaN occurs, and have no
// log1p or expm1 (WGSL specification, "Floating Point Evaluation"); the series are good to 2e-6.

fn sigmoid(x: f32) -> f32 {
  let e = exp(-abs(x));
  return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

fn silu(x: f32) -> f32 {
  return x * sigmoid(x);
}

// log(1 + e) for e in [0, 1]; log() has an absolute error of 2^-21 near 1.
fn log1p_unit(e: f32) -> f32 {
  let series = e * (1.0 - e * (0.5 - e * (1.0 / 3.0 - e / 4.0)));
  return select(log(1.0 + e), series, e < 0.03);
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

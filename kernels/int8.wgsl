// Numbers as signed bytes: 32 of a row share a scale, number = byte · scale.

fn largest_of(values: vec4<f32>) -> f32 {
  let sizes = abs(values);
  return max(max(sizes.x, sizes.y), max(sizes.z, sizes.w));
}

fn scale_of(largest: f32) -> f32 {
  return largest / 127.0;
}

// What the numbers are multiplied by. Groups whose inverse float32 may not hold become zeros.
fn inverse_scale_of(largest: f32) -> f32 {
  return select(0.0, 127.0 / largest, largest > 1e-35);
}

fn to_bytes(values: vec4<f32>, inverse_scale: f32) -> u32 {
  return pack4xI8(vec4<i32>(round(values * inverse_scale)));
}

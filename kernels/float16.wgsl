// Float16 by integer operations alone: float operations may flush small numbers to zero, and how the
// built-in functions round is left to the device. Four numbers at a time, without branches.

// Bits of the float32 numbers that are equal to these float16 numbers.
fn float32_of_float16(halves: vec4<u32>) -> vec4<u32> {
  let sizes = halves & vec4(0x7fffu);
  // The exponent's bias goes from 15 to 127; that of infinity and NaN from 31 to 255.
  let special = select(vec4(0u), vec4(0x38000000u), sizes >= vec4(0x7c00u));
  let normal = (sizes << vec4(13u)) + 0x38000000u + special;
  // A count of 2^-24 becomes a normal number.
  let subnormal = bitcast<vec4<u32>>(vec4<f32>(sizes) * 0x1p-24);
  return ((halves & vec4(0x8000u)) << vec4(16u)) | select(normal, subnormal, sizes < vec4(0x400u));
}

// What is added before bits are dropped.
const TO_NEAREST = 0u;   // the nearest, ties to even
const UP = 1u;           // away from zero, for numbers from 2^-126 on

// Float16 bits of finite float32 numbers, given as bits; too large ones overflow to infinity.
fn float16_of_float32(bits: vec4<u32>, rounding: u32) -> vec4<u32> {
  let sizes = bits & vec4(0x7fffffffu);
  let exponents = sizes >> vec4(23u);
  // From 2^-14 on 13 bits of the mantissa are dropped; below, what is not a count of 2^-24.
  let is_small = exponents < vec4(113u);
  let dropped = min(126 - min(exponents, vec4(113u)), vec4(31u));
  let mantissas = select((sizes & vec4(0x7fffffu)) | vec4(0x800000u), vec4(0u), exponents == vec4(0u));
  let kept = select(sizes - 0x38000000u, mantissas, is_small);
  let ones = (vec4(1u) << dropped) - 1;
  let added = select((ones >> vec4(1u)) + ((kept >> dropped) & vec4(1u)), ones, rounding == UP);
  return ((bits >> vec4(16u)) & vec4(0x8000u)) | min((kept + added) >> dropped, vec4(0x7c00u));
}

// 32 numbers as integers with a float16 scale: int8 by the largest number, int4 by the best of eight
// scales. Bit for bit the same on every device, as far as float32 sums and products are rounded to the
// nearest: whatever else a device may round as it likes is made exact or put right.
#param TARGET: f16 | f32 | int8 | int4

alias Numbers = array<vec4<f32>, 8>;

struct Group {
  scale: u32,   // float16 bits
  // The words of the group; int4 has no high ones.
  low: vec4<u32>,
  high: vec4<u32>,
}

// Groups of numbers under 2^-25, half the smallest scale, are zeros with scale 0.
const TINY = 0x33000000u;

// A float16 scale.
struct Scale {
  bits: u32,
  value: f32,
  inverse: f32,   // about 1 / value
}

// The nearest integers to x / scale; halves go up.
fn nearest(x: vec4<f32>, scale: Scale, low: f32, high: f32) -> vec4<f32> {
  var q = floor(x * scale.inverse + 0.5);
  // Quotients are off by a little; these products are exact.
  let above = x >= (q + 0.5) * scale.value;
  let below = x < (q - 0.5) * scale.value;
  q += select(vec4(0.0), vec4(1.0), above) - select(vec4(0.0), vec4(1.0), below);
  return clamp(q, vec4(low), vec4(high));
}

// size · factor, rounded up so that it never comes to zero.
fn scale_for(size: f32, factor: f32) -> Scale {
  let exact = vec4(bitcast<u32>(size * factor));
  let bits = min(float16_of_float32(exact, UP), vec4(0x7bffu));
  let value = bitcast<vec4<f32>>(float32_of_float16(bits)).x;
  return Scale(bits.x, value, 1.0 / value);
}

// The largest size in the group.
fn largest(numbers: ptr<function, Numbers>) -> f32 {
  var sizes = vec4(0.0);
  for (var i = 0u; i < 8; i++) {
    sizes = max(sizes, abs((*numbers)[i]));
  }
  return max(max(sizes.x, sizes.y), max(sizes.z, sizes.w));
}

#if TARGET == int8
fn quantize_group(numbers: ptr<function, Numbers>) -> Group {
  let size = largest(numbers);
  if (bitcast<u32>(size) < TINY) {
    return Group();
  }
  let scale = scale_for(size, f32(1.0 / 127.0));
  var words: array<u32, 8>;
  for (var i = 0u; i < 8; i++) {
    words[i] = pack4xI8(vec4<i32>(nearest((*numbers)[i], scale, -127.0, 127.0)));
  }
  return Group(scale.bits, vec4(words[0], words[1], words[2], words[3]),
               vec4(words[4], words[5], words[6], words[7]));
}
#else
// Integers of the group over scale · sign, -8 to 7.
fn integers(numbers: ptr<function, Numbers>, i: u32, scale: Scale, sign: f32) -> vec4<f32> {
  return nearest((*numbers)[i] * sign, scale, -8.0, 7.0);
}

fn quantize_group(numbers: ptr<function, Numbers>) -> Group {
  let size = largest(numbers);
  if (bitcast<u32>(size) < TINY) {
    return Group();
  }
  // The first number of the largest size becomes -8 or close to it: scales have the other sign.
  var extreme = 0.0;
  for (var i = 0u; i < 8; i++) {
    let four = (*numbers)[7 - i];
    extreme = select(extreme, four.w, abs(four.w) == size);
    extreme = select(extreme, four.z, abs(four.z) == size);
    extreme = select(extreme, four.y, abs(four.y) == size);
    extreme = select(extreme, four.x, abs(four.x) == size);
  }
  let sign = select(1.0, -1.0, extreme > 0);
  // Errors are summed as integers, in units of 2^-13 of the power of two at or below `size`.
  let unit = bitcast<f32>((267 - (bitcast<u32>(size) >> 23)) << 23);
  var least = 0x7fffffff;
  var best: Scale;
  // Scales from size / 7.0 to size / 8.8: on the shipped models the squared error is 0.70 of what
  // size / 7 has, 0.78 of size / 8 alone; 32 scales would give 0.70 too (2026-11).
  for (var candidate = 0u; candidate < 8; candidate++) {
    let scale = scale_for(size, f32(585 - 17 * candidate) / 4096.0);
    var error = 0;
    for (var i = 0u; i < 8; i++) {
      let q = integers(numbers, i, scale, sign);
      let difference = vec4<i32>(((*numbers)[i] - q * (scale.value * sign)) * unit);
      error += dot(difference, difference);
    }
    if (error < least) {
      least = error;
      best = scale;
    }
  }
  var words: array<u32, 4>;
  for (var i = 0u; i < 4; i++) {
    let low = vec4<i32>(integers(numbers, 2 * i, best, sign)) & vec4(15);
    let high = vec4<i32>(integers(numbers, 2 * i + 1, best, sign)) & vec4(15);
    words[i] = pack4xU8(vec4<u32>(low | (high << vec4(4u))));
  }
  let sign_bit = select(0u, 0x8000u, extreme > 0);
  return Group(best.bits | sign_bit, vec4(words[0], words[1], words[2], words[3]), vec4(0u));
}
#endif

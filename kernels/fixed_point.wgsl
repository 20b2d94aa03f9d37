// Integers for sampling: weights as powers of two in fixed point, and sums and products of 64 bits as
// vec2(low, high). src/engine/sampler.ts has the same weights.

const UNIT = 0x40000000u;         // the weight of the best token, 2^30
const NO_WEIGHT = 30u * 65536 + 1;  // the least deficit whose weight is 0

// 2^30 · 2^-(deficit / 65536), rounded down; 0 from NO_WEIGHT up. 2^-f for f in [0, 1) is a
// polynomial whose largest relative error is 2^-18.3; it falls with f, and joins at f = 1.
fn weight_of(deficit: u32) -> u32 {
  let f = deficit & 0xffff;
  var rest = 57148376u - scaled(7335688u, f);
  rest = 257114718u - scaled(rest, f);
  rest = 744171341u - scaled(rest, f);
  // Shifts by 32 and more are not defined.
  return (UNIT - scaled(rest, f)) >> min(deficit >> 16, 31u);
}

// a · f / 65536, rounded down, for f below 65536.
fn scaled(a: u32, f: u32) -> u32 {
  return (a >> 16) * f + (((a & 0xffff) * f) >> 16);
}

fn product64(a: u32, b: u32) -> vec2<u32> {
  let low = (a & 0xffff) * (b & 0xffff);
  let left = (a >> 16) * (b & 0xffff) + (low >> 16);
  let right = (a & 0xffff) * (b >> 16) + (left & 0xffff);
  return vec2((right << 16) | (low & 0xffff), (a >> 16) * (b >> 16) + (left >> 16) + (right >> 16));
}

fn add64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  let low = a.x + b.x;
  return vec2(low, a.y + b.y + u32(low < a.x));
}

fn subtract64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
  return vec2(a.x - b.x, a.y - b.y - u32(a.x < b.x));
}

fn less64(a: vec2<u32>, b: vec2<u32>) -> bool {
  return a.y < b.y || (a.y == b.y && a.x < b.x);
}

// total · share / 65536, rounded up, for totals up to 2^48 and shares below 65536.
fn share_of(total: vec2<u32>, share: u32) -> vec2<u32> {
  let low = product64(total.x, share);
  let high = total.y * share + low.y;
  let floor = vec2((high << 16) | (low.x >> 16), high >> 16);
  return add64(floor, vec2(u32((low.x & 0xffff) != 0), 0u));
}

// total · random / 2^32, rounded down, for totals up to 2^48.
fn point_in(total: vec2<u32>, random: u32) -> vec2<u32> {
  return add64(product64(total.y, random), vec2(product64(total.x, random).y, 0u));
}

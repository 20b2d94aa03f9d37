// Numbers made up from their positions, evenly spread over (-RANGE, RANGE): as many of them as a block
// of a tensor has. src/loader/noise.ts makes the same ones.
#param WORKGROUP: u32

struct Noise {
  count: u32,
  first_element: u32,   // position of the first number in its tensor
  seed: u32,
  step: f32,            // RANGE / 2^23
}

@group(0) @binding(0) var<uniform> noise: Noise;
@group(0) @binding(1) var<storage, read_write> numbers: array<f32>;   // [count]

// Mixes all bits of a word into all bits (the finalizer of MurmurHash3).
fn mix(word: u32) -> u32 {
  var x = word;
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WORKGROUP + id.x;
  if (i >= noise.count) {
    return;
  }
  // 24 bits with their sign, so that the only rounding is the product's.
  let bits = mix(mix(noise.first_element + i) ^ noise.seed);
  numbers[i] = f32(bitcast<i32>(bits) >> 8) * noise.step;
}

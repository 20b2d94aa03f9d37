// Writes the keys and values of a step into the caches of their sequences: of each segment the last
// CAPACITY tokens, the token at sequence position t into row t % CAPACITY. One invocation for each
// number of a token's key; nothing is shared between invocations, so both variants use this text.
#include "step.wgsl"
#param WORKGROUP: u32
#param ROW: u32           // numbers in a row of the cache: kv heads · head size
#param CAPACITY: u32      // rows
#param SLOT_STRIDE: u32

@group(0) @binding(0) var<uniform> counts: Counts;
@group(0) @binding(1) var<storage, read> segments: array<Segment>;
@group(0) @binding(2) var<storage, read> segment_of: array<u32>;    // [tokens]
@group(0) @binding(3) var<storage, read> k: array<f32>;             // [tokens, ROW]
@group(0) @binding(4) var<storage, read> v: array<f32>;             // [tokens, ROW]
// Slot s at float s · SLOT_STRIDE: keys [CAPACITY, ROW], then values alike.
@group(0) @binding(5) var<storage, read_write> cache: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>) {
  let index = id.y * groups.x * WORKGROUP + id.x;
  let token = index / ROW;
  if (token >= counts.tokens) {
    return;
  }
  let segment = segments[segment_of[token]];
  let place = token - segment.first;
  if (place + CAPACITY < segment.length) {
    return;
  }
  let row = (segment.position + place) % CAPACITY;
  let to = segment.slot * SLOT_STRIDE + row * ROW + index % ROW;
  cache[to] = k[index];
  cache[to + CAPACITY * ROW] = v[index];
}

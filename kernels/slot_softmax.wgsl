// Softmax over the slots of gated slot attention, each row of each head on its own, in f32.
// One row a workgroup (subgroup variant) or an invocation (plain variant).
#include "rows.wgsl"
#param VARIANT: subgroup | plain
#param WORKGROUP: u32
#param HEADS: u32
#param SLOTS: u32
#if VARIANT == subgroup
#include "reduce.wgsl"
#endif

@group(0) @binding(0) var<uniform> counts: Counts;
@group(0) @binding(1) var<storage, read> logits: array<f32>;       // [tokens, HEADS, SLOTS]
@group(0) @binding(2) var<storage, read_write> p: array<f32>;      // [tokens, HEADS, SLOTS]

#if VARIANT == subgroup
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32,
        @builtin(subgroup_size) subgroup_size: u32) {
  let row = first_row() * HEADS + group.y * groups.x + group.x;
  if (row >= end_row() * HEADS) {
    return;
  }
  let first = row * SLOTS;
  var largest = logits[first];
  for (var i = lane; i < SLOTS; i += WORKGROUP) {
    largest = max(largest, logits[first + i]);
  }
  largest = workgroup_max(largest, lane, subgroup_size);
  var sum = 0.0;
  for (var i = lane; i < SLOTS; i += WORKGROUP) {
    sum += exp(logits[first + i] - largest);
  }
  sum = workgroup_sum(sum, lane, subgroup_size);
  for (var i = lane; i < SLOTS; i += WORKGROUP) {
    p[first + i] = exp(logits[first + i] - largest) / sum;
  }
}
#else
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>) {
  let row = first_row() * HEADS + id.y * groups.x * WORKGROUP + id.x;
  if (row >= end_row() * HEADS) {
    return;
  }
  let first = row * SLOTS;
  var largest = logits[first];
  for (var i = 1u; i < SLOTS; i++) {
    largest = max(largest, logits[first + i]);
  }
  var sum = 0.0;
  for (var i = 0u; i < SLOTS; i++) {
    let e = exp(logits[first + i] - largest);
    p[first + i] = e;
    sum += e;
  }
  for (var i = 0u; i < SLOTS; i++) {
    p[first + i] /= sum;
  }
}
#endif

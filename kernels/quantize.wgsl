// Rows of float32 numbers as int8 in groups of 32 with a scale each. One invocation makes a group;
// nothing is shared between invocations, so both variants use this text.
#include "rows.wgsl"
#include "blocks.wgsl"
#include "int8.wgsl"
#param WORKGROUP: u32
#param DIM: u32
#param VECTOR: yes | no   // DIM is a multiple of four

const GROUPS = (DIM + 31) / 32;

@group(0) @binding(0) var<uniform> counts: Counts;
#if VECTOR == yes
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;         // [rows, DIM / 4]
#else
@group(0) @binding(1) var<storage, read> x: array<f32>;               // [rows, DIM]
#endif
@group(0) @binding(2) var<storage, read_write> y: array<vec4<u32>>;   // [rows, GROUPS, 32 / 16]
@group(0) @binding(3) var<storage, read_write> scales: array<f32>;    // [rows, GROUPS]

// Zero past the row's end.
fn input4(row: u32, block: u32) -> vec4<f32> {
  if (block >= (DIM + 3) / 4) {
    return vec4<f32>();
  }
#if VECTOR == yes
  return x[row * (DIM / 4) + block];
#else
  let at = row * DIM + places(block, DIM);
  return vec4(x[at.x], x[at.y], x[at.z], x[at.w]) * inside(block, DIM);
#endif
}

fn half_group(row: u32, block: u32) -> mat4x4<f32> {
  return mat4x4(input4(row, block), input4(row, block + 1),
                input4(row, block + 2), input4(row, block + 3));
}

fn largest_of_half(half: mat4x4<f32>) -> f32 {
  return max(max(largest_of(half[0]), largest_of(half[1])),
             max(largest_of(half[2]), largest_of(half[3])));
}

fn half_to_bytes(half: mat4x4<f32>, inverse_scale: f32) -> vec4<u32> {
  return vec4(to_bytes(half[0], inverse_scale), to_bytes(half[1], inverse_scale),
              to_bytes(half[2], inverse_scale), to_bytes(half[3], inverse_scale));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>) {
  let index = id.y * groups.x * WORKGROUP + id.x;
  let row = first_row() + index / GROUPS;
  let group = index % GROUPS;
  if (row >= end_row()) {
    return;
  }
  let low = half_group(row, group * 8);
  let high = half_group(row, group * 8 + 4);
  let largest = max(largest_of_half(low), largest_of_half(high));
  let at = row * GROUPS + group;
  scales[at] = scale_of(largest);
  y[2 * at] = half_to_bytes(low, inverse_scale_of(largest));
  y[2 * at + 1] = half_to_bytes(high, inverse_scale_of(largest));
}

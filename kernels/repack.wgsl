// Rows of a stored tensor become rows of a weight matrix (src/gpu/matrix.ts): converted to floats, or
// quantized in groups of 32. One invocation makes a unit of a row: 8 floats or one group. Numbers that
// the matrix cannot hold are reported, not converted.
#param SOURCE: F32 | F16 | BF16
#param TARGET: f16 | f32 | int8 | int4
#param LIMIT: u32       // sizes from these float32 bits on cannot be held
#param WORKGROUP: u32
#include "float16.wgsl"
#if TARGET == int8 || TARGET == int4
#include "quantize_group.wgsl"
#endif

struct Job {
  rows: u32,
  columns: u32,
  units: u32,           // of a row of the matrix
  first_row: u32,       // row r of the source is row first_row + r · row_step of the matrix
  row_step: u32,
  first_element: u32,   // position of the first number in its tensor
  fault: u32,           // entry of faults
}

@group(0) @binding(0) var<uniform> job: Job;
@group(0) @binding(1) var<storage, read> source: array<u32>;                  // [rows, columns] of SOURCE
@group(0) @binding(2) var<storage, read_write> weights: array<vec4<u32>>;     // [rows, units] units
@group(0) @binding(3) var<storage, read_write> faults: array<atomic<u32>>;    // least position of a fault
#if TARGET == int8 || TARGET == int4
@group(0) @binding(4) var<storage, read_write> scales: array<atomic<u32>>;    // [rows, units] f16
#endif

#if SOURCE != F32
fn source_halves(at: u32) -> vec4<u32> {
  let word = at / 2;
  // Rows of odd length begin in the middle of a word.
  let shift = at % 2 * 16;
  let middle = source[word + 1];
  let low = (source[word] >> shift) | ((middle << 16) << (16 - shift));
  let high = (middle >> shift) | ((source[word + 2] << 16) << (16 - shift));
  return vec4(low & 0xffff, low >> 16, high & 0xffff, high >> 16);
}
#endif

// Float32 bits of four numbers of the source.
fn source_bits(at: u32) -> vec4<u32> {
#if SOURCE == F32
  return vec4(source[at], source[at + 1], source[at + 2], source[at + 3]);
#elif SOURCE == BF16
  return source_halves(at) << vec4(16u);
#else
  return float32_of_float16(source_halves(at));
#endif
}

// The same for a row that begins at `first`; zero past its end, and what cannot be held.
fn bits4(first: u32, column: u32) -> vec4<u32> {
  if (column >= job.columns) {
    return vec4(0u);
  }
  // Up to 14 bytes behind the last row are read and thrown away: the block has room for them.
  let columns = vec4(column) + vec4(0u, 1u, 2u, 3u);
  let bits = select(vec4(0u), source_bits(first + column), columns < vec4(job.columns));
  let wrong = (bits & vec4(0x7fffffffu)) >= vec4(LIMIT);
  if (!any(wrong)) {
    return bits;
  }
  let least = select(select(select(3u, 2u, wrong.z), 1u, wrong.y), 0u, wrong.x);
  atomicMin(&faults[job.fault], job.first_element + first + column + least);
  return select(bits, vec4(0u), wrong);
}

#if TARGET == f32
fn make_unit(first: u32, unit: u32, to: u32) {
  weights[2 * to] = bits4(first, 8 * unit);
  weights[2 * to + 1] = bits4(first, 8 * unit + 4);
}
#elif TARGET == f16
fn pack(bits: vec4<u32>) -> vec2<u32> {
  let halves = float16_of_float32(bits, TO_NEAREST);
  return vec2(halves.x | (halves.y << 16), halves.z | (halves.w << 16));
}

fn make_unit(first: u32, unit: u32, to: u32) {
  weights[to] = vec4(pack(bits4(first, 8 * unit)), pack(bits4(first, 8 * unit + 4)));
}
#else
fn make_unit(first: u32, unit: u32, to: u32) {
  var numbers: Numbers;
  for (var i = 0u; i < 8; i++) {
    numbers[i] = bitcast<vec4<f32>>(bits4(first, 32 * unit + 4 * i));
  }
  let group = quantize_group(&numbers);
  // Two groups share a word and may belong to different rows, hence to different dispatches.
  let shift = to % 2 * 16;
  atomicAnd(&scales[to / 2], ~(0xffffu << shift));
  atomicOr(&scales[to / 2], group.scale << shift);
#if TARGET == int8
  weights[2 * to] = group.low;
  weights[2 * to + 1] = group.high;
#else
  weights[to] = group.low;
#endif
}
#endif

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>) {
  let index = id.y * groups.x * WORKGROUP + id.x;
  if (index >= job.rows * job.units) {
    return;
  }
  let row = index / job.units;
  let unit = index % job.units;
  make_unit(row * job.columns, unit, (job.first_row + row * job.row_step) * job.units + unit);
}

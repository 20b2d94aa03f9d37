// Causal softmax attention for prompts and decode rows: the token at sequence position t sees the
// positions max(0, t - WINDOW + 1) … t, those before its segment from the cache, the others from the
// step's own k and v. Keys are taken in blocks counted from the first visible one, with a running
// maximum and sum, so the arithmetic of a token depends on its position alone: any split of a
// prompt gives the same bits.
// One workgroup for GROUP heads of a token (subgroup variant): an invocation scores one key of a
// block, then gathers one column of the values. Or one invocation for a head of a token (plain).
#include "step.wgsl"
#param VARIANT: subgroup | plain
#param WORKGROUP: u32
#param HEADS: u32
#param KV_HEADS: u32
#param HEAD_DIM: u32
#param VECTOR: u32        // numbers in one load, 4, 2 or 1: divides HEAD_DIM and SLOT_STRIDE
#param GROUP: u32         // subgroup: heads of a workgroup; divides HEADS / KV_HEADS
#param WINDOW: u32        // 0: everything before is visible
#param CAPACITY: u32      // rows of the cache; position t is in row t % CAPACITY
#param SLOT_STRIDE: u32   // floats
#if VARIANT == subgroup
enable subgroups;
#endif

#if VECTOR == 4
alias Vector = vec4<f32>;
fn product(a: Vector, b: Vector) -> f32 { return dot(a, b); }
#elif VECTOR == 2
alias Vector = vec2<f32>;
fn product(a: Vector, b: Vector) -> f32 { return dot(a, b); }
#else
alias Vector = f32;
fn product(a: Vector, b: Vector) -> f32 { return a * b; }
#endif

@group(0) @binding(0) var<uniform> counts: Counts;
@group(0) @binding(1) var<storage, read> segments: array<Segment>;
@group(0) @binding(2) var<storage, read> segment_of: array<u32>;     // [tokens]
@group(0) @binding(3) var<storage, read> q: array<Vector>;           // [tokens, HEADS, HEAD_DIM]
@group(0) @binding(4) var<storage, read> k: array<Vector>;           // [tokens, KV_HEADS, HEAD_DIM]
@group(0) @binding(5) var<storage, read> v: array<Vector>;           // [tokens, KV_HEADS, HEAD_DIM]
// Slot s at float s · SLOT_STRIDE: keys [CAPACITY, KV_HEADS, HEAD_DIM], then values alike.
@group(0) @binding(6) var<storage, read> cache: array<Vector>;
@group(0) @binding(7) var<storage, read_write> o: array<Vector>;     // [tokens, HEADS, HEAD_DIM]

const COLUMNS = HEAD_DIM / VECTOR;   // vectors of a head; all offsets below count vectors
const ROW = KV_HEADS * COLUMNS;
const SCALE = 1.0 / sqrt(f32(HEAD_DIM));
const LOWEST = -1e30;                // implementations may assume that there is no infinity

fn first_visible(position: u32) -> u32 {
#if WINDOW > 0
  return max(position + 1, WINDOW) - WINDOW;
#else
  return 0;
#endif
}

// Where the key and the value of a position are: in the cache, or in k and v.
struct Place {
  cached: bool,
  key: u32,
  value: u32,
}

fn place(segment: Segment, position: u32, kv_head: u32) -> Place {
  if (position < segment.position) {
    let key = segment.slot * (SLOT_STRIDE / VECTOR) + position % CAPACITY * ROW + kv_head * COLUMNS;
    return Place(true, key, key + CAPACITY * ROW);
  }
  let row = (segment.first + position - segment.position) * ROW + kv_head * COLUMNS;
  return Place(false, row, row);
}

#if VARIANT == subgroup
fn key_vector(at: Place, i: u32) -> Vector {
  if (at.cached) {
    return cache[at.key + i];
  }
  return k[at.key + i];
}

fn value_vector(at: Place, i: u32) -> Vector {
  if (at.cached) {
    return cache[at.value + i];
  }
  return v[at.value + i];
}

const SHARES = WORKGROUP / COLUMNS;   // invocations that divide the keys of a block for one column

var<workgroup> queries: array<Vector, GROUP * COLUMNS>;
var<workgroup> weights: array<f32, GROUP * WORKGROUP>;            // of the keys of a block
var<workgroup> partials: array<f32, GROUP * (WORKGROUP / 4)>;     // one for each subgroup
var<workgroup> gathered: array<Vector, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32,
        @builtin(subgroup_size) subgroup_size: u32) {
  let unit = group.y * groups.x + group.x;
  let token = unit / (HEADS / GROUP);
  if (token >= counts.tokens) {
    return;
  }
  let head = unit % (HEADS / GROUP) * GROUP;
  let kv_head = head / (HEADS / KV_HEADS);
  let segment = segments[segment_of[token]];
  let last = segment.position + token - segment.first;
  let subgroups = WORKGROUP / subgroup_size;
  let output = (token * HEADS + head) * COLUMNS;

  for (var i = lane; i < GROUP * COLUMNS; i += WORKGROUP) {
    queries[i] = q[output + i] * SCALE;
  }
  workgroupBarrier();

  var largest: array<f32, GROUP>;
  var total: array<f32, GROUP>;    // of this invocation's keys
  var sums: array<Vector, GROUP>;  // of this invocation's column and share
  for (var g = 0u; g < GROUP; g++) {
    largest[g] = LOWEST;
  }
  for (var first = first_visible(last); first <= last; first += WORKGROUP) {
    let keys = min(WORKGROUP, last + 1 - first);
    // Without an initialiser SwiftShader keeps the numbers of the last round (2026-11).
    var scores = array<f32, GROUP>();
    if (lane < keys) {
      let at = place(segment, first + lane, kv_head);
      for (var i = 0u; i < COLUMNS; i++) {
        let key = key_vector(at, i);
        for (var g = 0u; g < GROUP; g++) {
          scores[g] += product(queries[g * COLUMNS + i], key);
        }
      }
    } else {
      for (var g = 0u; g < GROUP; g++) {
        scores[g] = LOWEST;
      }
    }
    for (var g = 0u; g < GROUP; g++) {
      let part = subgroupMax(scores[g]);
      if (lane % subgroup_size == 0) {
        partials[g * subgroups + lane / subgroup_size] = part;
      }
    }
    workgroupBarrier();
    for (var g = 0u; g < GROUP; g++) {
      var top = largest[g];
      for (var i = 0u; i < subgroups; i++) {
        top = max(top, partials[g * subgroups + i]);
      }
      let shrink = exp(largest[g] - top);
      let weight = select(0.0, exp(scores[g] - top), lane < keys);
      largest[g] = top;
      total[g] = total[g] * shrink + weight;
      sums[g] *= shrink;
      weights[g * WORKGROUP + lane] = weight;
    }
    workgroupBarrier();
    if (lane < SHARES * COLUMNS) {
      for (var j = lane / COLUMNS; j < keys; j += SHARES) {
        let value = value_vector(place(segment, first + j, kv_head), lane % COLUMNS);
        for (var g = 0u; g < GROUP; g++) {
          sums[g] += weights[g * WORKGROUP + j] * value;
        }
      }
    }
  }

  for (var g = 0u; g < GROUP; g++) {
    let part = subgroupAdd(total[g]);
    if (lane % subgroup_size == 0) {
      partials[g * subgroups + lane / subgroup_size] = part;
    }
  }
  for (var g = 0u; g < GROUP; g++) {
    gathered[lane] = sums[g];
    workgroupBarrier();
    if (lane < COLUMNS) {
      var sum = gathered[lane];
      for (var share = 1u; share < SHARES; share++) {
        sum += gathered[share * COLUMNS + lane];
      }
      var weight = partials[g * subgroups];
      for (var i = 1u; i < subgroups; i++) {
        weight += partials[g * subgroups + i];
      }
      o[output + g * COLUMNS + lane] = sum / weight;
    }
    workgroupBarrier();
  }
}
#else
var<private> query: array<Vector, COLUMNS>;
var<private> sums: array<Vector, COLUMNS>;   // values so far, each times its weight
var<private> largest: f32;
var<private> total: f32;

// Takes a key into the running softmax and returns its weight.
fn weigh(score: f32) -> f32 {
  if (score > largest) {
    let shrink = exp(largest - score);
    total *= shrink;
    for (var i = 0u; i < COLUMNS; i++) {
      sums[i] *= shrink;
    }
    largest = score;
  }
  let weight = exp(score - largest);
  total += weight;
  return weight;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>) {
  let index = id.y * groups.x * WORKGROUP + id.x;
  let head = index % HEADS;
  let token = index / HEADS;
  if (token >= counts.tokens) {
    return;
  }
  let kv_head = head / (HEADS / KV_HEADS);
  let segment = segments[segment_of[token]];
  let last = segment.position + token - segment.first;
  for (var i = 0u; i < COLUMNS; i++) {
    query[i] = q[index * COLUMNS + i] * SCALE;
  }
  largest = LOWEST;

  // A loop for each source of keys: one that chooses takes twice the time on SwiftShader (2026-11).
  var position = first_visible(last);
  for (; position < segment.position; position++) {
    let at = place(segment, position, kv_head);
    var score = 0.0;
    for (var i = 0u; i < COLUMNS; i++) {
      score += product(query[i], cache[at.key + i]);
    }
    let weight = weigh(score);
    for (var i = 0u; i < COLUMNS; i++) {
      sums[i] += weight * cache[at.value + i];
    }
  }
  for (; position <= last; position++) {
    let at = place(segment, position, kv_head);
    var score = 0.0;
    for (var i = 0u; i < COLUMNS; i++) {
      score += product(query[i], k[at.key + i]);
    }
    let weight = weigh(score);
    for (var i = 0u; i < COLUMNS; i++) {
      sums[i] += weight * v[at.value + i];
    }
  }
  for (var i = 0u; i < COLUMNS; i++) {
    o[index * COLUMNS + i] = sums[i] / total;
  }
}
#endif

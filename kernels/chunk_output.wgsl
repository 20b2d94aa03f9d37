// Outputs of a chunk's rows: a read of the state in front of the chunk, plus its own tokens.
//   gate axis "key":   o[t] = SCALE · ((q[t] ⊙ decay from the start) S + Σ_j A[t, j] v[j])
//   gate axis "value": o[t] = SCALE · sum, sum ← q[t] S,  then for j = 0 … t
//                       sum ← decay[j] · sum + A[t, j] v[j]
// An invocation owns 4 rows × two blocks of 4 columns of one head, PAIRS blocks apart so that lanes
// read side by side. Nothing is shared but loads, which caches serve: one text without barriers for
// all adapters.
#include "step.wgsl"
#include "blocks.wgsl"
#include "chunk_decays.wgsl"
#param WORKGROUP: u32
#param HEADS: u32
#param KV_HEADS: u32
#param K: u32
#param V: u32
#param SCALE: f32
#param GATE_AXIS: key | value
#param VECTOR: yes | no         // K and V are multiples of four

const G = HEADS / KV_HEADS;
const K_BLOCKS = (K + 3) / 4;
const V_BLOCKS = (V + 3) / 4;
const PAIRS = (V_BLOCKS + 1) / 2;
#if GATE_AXIS == key
const DIM = K;
#else
const DIM = V;
#endif

@group(0) @binding(0) var<storage, read> chunks: array<Chunk>;
@group(0) @binding(1) var<storage, read> scores: array<vec4<f32>>;     // [tokens, HEADS, 64]

#if VECTOR == yes
@group(0) @binding(2) var<storage, read> q: array<vec4<f32>>;          // [tokens, HEADS, K]
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>;          // [tokens, KV_HEADS, V]
@group(0) @binding(4) var<storage, read> gates: array<vec4<f32>>;      // [tokens, KV_HEADS, 2, DIM]
@group(0) @binding(5) var<storage, read> states: array<vec4<f32>>;     // [chunks, KV_HEADS, K, V]
@group(0) @binding(6) var<storage, read_write> o: array<vec4<f32>>;    // [tokens, HEADS, V]

fn q4(row: u32, block: u32) -> vec4<f32> { return q[row * K_BLOCKS + block]; }
fn v4(row: u32, block: u32) -> vec4<f32> { return v[row * V_BLOCKS + block]; }
fn state4(row: u32, block: u32) -> vec4<f32> { return states[row * V_BLOCKS + block]; }
fn store(row: u32, block: u32, value: vec4<f32>) { o[row * V_BLOCKS + block] = value; }
#else
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read> gates: array<f32>;
@group(0) @binding(5) var<storage, read> states: array<f32>;
@group(0) @binding(6) var<storage, read_write> o: array<f32>;

// Zero past the row's end, so that the state may hold anything finite there.
fn q4(row: u32, block: u32) -> vec4<f32> {
  let at = row * K + places(block, K);
  return vec4(q[at.x], q[at.y], q[at.z], q[at.w]) * inside(block, K);
}

fn v4(row: u32, block: u32) -> vec4<f32> {
  let at = row * V + places(block, V);
  return vec4(v[at.x], v[at.y], v[at.z], v[at.w]);
}

fn state4(row: u32, block: u32) -> vec4<f32> {
  let at = row * V + places(block, V);
  return vec4(states[at.x], states[at.y], states[at.z], states[at.w]);
}

fn store(row: u32, block: u32, value: vec4<f32>) {
  for (var i = 0u; i < min(4, V - block * 4); i++) {
    o[row * V + block * 4 + i] = value[i];
  }
}
#endif

#if GATE_AXIS == key
fn values4(keys: vec4<u32>, block: u32) -> mat4x4<f32> {
  return mat4x4(v4(keys.x, block), v4(keys.y, block), v4(keys.z, block), v4(keys.w, block));
}
#else
// Decays the sums of four rows and adds a key's value to them. Rows above the key have not come to
// it: their weight is zero and their sum stays.
fn take_in(sums: ptr<function, mat4x4<f32>>, key: u32, block: u32, weights: vec4<f32>,
           reached: vec4<bool>) {
  let value = v4(key, block);
  let kept = decay4(key, block);
  (*sums)[0] = (*sums)[0] * select(vec4(1.0), kept, reached.x) + value * weights.x;
  (*sums)[1] = (*sums)[1] * select(vec4(1.0), kept, reached.y) + value * weights.y;
  (*sums)[2] = (*sums)[2] * select(vec4(1.0), kept, reached.z) + value * weights.z;
  (*sums)[3] = (*sums)[3] * select(vec4(1.0), kept, reached.w) + value * weights.w;
}
#endif

fn states4(rows: vec4<u32>, block: u32) -> mat4x4<f32> {
  return mat4x4(state4(rows.x, block), state4(rows.y, block), state4(rows.z, block),
                state4(rows.w, block));
}

// grid: 16 row blocks × PAIRS / WORKGROUP, HEADS, chunks
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let t = id.x / PAIRS * 4;
  let chunk = chunks[id.z];
  if (t >= chunk.length) {
    return;
  }
  let block = id.x % PAIRS;
  let other = min(block + PAIRS, V_BLOCKS - 1);
  let head = id.y;
  let kv_head = head / G;
  // Rows past the chunk's end repeat its last one and are not stored.
  let ts = t + vec4(0, 1, 2, 3);
  let tokens = chunk.first + min(ts, vec4(chunk.length - 1));
  let rows = tokens * HEADS + head;
  let kv_rows = tokens * KV_HEADS + kv_head;
  var sums = mat4x4<f32>();
  var other_sums = mat4x4<f32>();

  for (var i = 0u; i < K_BLOCKS; i++) {
    var queries = mat4x4(q4(rows.x, i), q4(rows.y, i), q4(rows.z, i), q4(rows.w, i));
#if GATE_AXIS == key
    var before = vec4(1.0);   // decay over the sub-chunks in front of this one
    for (var last = 15u; last < t; last += 16) {
      before *= prefix4((chunk.first + last) * KV_HEADS + kv_head, i);
    }
    queries[0] *= before * prefix4(kv_rows.x, i);
    queries[1] *= before * prefix4(kv_rows.y, i);
    queries[2] *= before * prefix4(kv_rows.z, i);
    queries[3] *= before * prefix4(kv_rows.w, i);
#endif
    let state_rows = (id.z * KV_HEADS + kv_head) * K + places(i, K);
    sums += states4(state_rows, block) * queries;
    other_sums += states4(state_rows, other) * queries;
  }

  for (var j = 0u; j <= t; j += 4) {
    let js = j + vec4(0, 1, 2, 3);
    let keys = (chunk.first + min(js, vec4(chunk.length - 1))) * KV_HEADS + kv_head;
    let weights = mat4x4(scores[rows.x * 16 + j / 4], scores[rows.y * 16 + j / 4],
                         scores[rows.z * 16 + j / 4], scores[rows.w * 16 + j / 4]);
#if GATE_AXIS == key
    sums += values4(keys, block) * weights;
    other_sums += values4(keys, other) * weights;
#else
    let by_key = transpose(weights);
    take_in(&sums, keys.x, block, by_key[0], vec4(js.x) <= ts);
    take_in(&sums, keys.y, block, by_key[1], vec4(js.y) <= ts);
    take_in(&sums, keys.z, block, by_key[2], vec4(js.z) <= ts);
    take_in(&sums, keys.w, block, by_key[3], vec4(js.w) <= ts);
    take_in(&other_sums, keys.x, other, by_key[0], vec4(js.x) <= ts);
    take_in(&other_sums, keys.y, other, by_key[1], vec4(js.y) <= ts);
    take_in(&other_sums, keys.z, other, by_key[2], vec4(js.z) <= ts);
    take_in(&other_sums, keys.w, other, by_key[3], vec4(js.w) <= ts);
#endif
  }

  for (var i = 0u; i < min(4, chunk.length - t); i++) {
    let row = (chunk.first + t + i) * HEADS + head;
    store(row, block, SCALE * sums[i]);
    if (block + PAIRS < V_BLOCKS) {
      store(row, other, SCALE * other_sums[i]);
    }
  }
}

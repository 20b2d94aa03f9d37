// Scores of a chunk's rows against its own keys, lower triangle, zeros above it in diagonal blocks:
//   A[t, j] = Σ_κ q[t, κ] · k[j, κ] · Π decay[i, κ], i = j+1 … t     (gate axis "value": no decays)
// An invocation owns 4 rows of one head and the 16 keys of one sub-chunk. Per block of four κ it
// carries the queries, decayed to the sub-chunk's last row, down the keys, one more decay each: a
// pair costs a multiplication instead of an exponential. Nothing is shared but loads, which caches
// serve: one text without barriers for all adapters.
#include "step.wgsl"
#include "blocks.wgsl"
#param WORKGROUP: u32
#param HEADS: u32
#param KV_HEADS: u32
#param K: u32
#param GATE_AXIS: key | value
#param VECTOR: yes | no         // K is a multiple of four

const G = HEADS / KV_HEADS;
const K_BLOCKS = (K + 3) / 4;

@group(0) @binding(0) var<storage, read> chunks: array<Chunk>;
@group(0) @binding(1) var<storage, read_write> scores: array<vec4<f32>>;   // [tokens, HEADS, 64]

#if VECTOR == yes
@group(0) @binding(2) var<storage, read> q: array<vec4<f32>>;       // [tokens, HEADS, K]
@group(0) @binding(3) var<storage, read> k: array<vec4<f32>>;       // [tokens, KV_HEADS, K]

fn q4(row: u32, block: u32) -> vec4<f32> { return q[row * K_BLOCKS + block]; }
fn k4(row: u32, block: u32) -> vec4<f32> { return k[row * K_BLOCKS + block]; }
#else
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read> k: array<f32>;

// Zero past the row's end, so that k may hold anything finite there.
fn q4(row: u32, block: u32) -> vec4<f32> {
  let at = row * K + places(block, K);
  return vec4(q[at.x], q[at.y], q[at.z], q[at.w]) * inside(block, K);
}

fn k4(row: u32, block: u32) -> vec4<f32> {
  let at = row * K + places(block, K);
  return vec4(k[at.x], k[at.y], k[at.z], k[at.w]);
}
#endif

#if GATE_AXIS == key
#include "chunk_decays.wgsl"
const DIM = K;
#if VECTOR == yes
@group(0) @binding(4) var<storage, read> gates: array<vec4<f32>>;   // [tokens, KV_HEADS, 2, K]
#else
@group(0) @binding(4) var<storage, read> gates: array<f32>;
#endif
#endif

// Products of the four carried queries (columns) with key j. The key's decay then falls on the
// queries of rows t that are not above it: the others have not started.
fn step_down(queries: ptr<function, mat4x4<f32>>, chunk: Chunk, kv_head: u32, j: u32,
             t: vec4<u32>, block: u32) -> vec4<f32> {
  let row = (chunk.first + min(j, chunk.length - 1)) * KV_HEADS + kv_head;
  let products = k4(row, block) * *queries;
#if GATE_AXIS == key
  let kept = decay4(row, block);
  let started = vec4(j) <= t;
  (*queries)[0] *= select(vec4(1.0), kept, started.x);
  (*queries)[1] *= select(vec4(1.0), kept, started.y);
  (*queries)[2] *= select(vec4(1.0), kept, started.z);
  (*queries)[3] *= select(vec4(1.0), kept, started.w);
#endif
  return products;
}

// Column c: the four rows against key j + c.
fn four_down(queries: ptr<function, mat4x4<f32>>, chunk: Chunk, kv_head: u32, j: u32,
             t: vec4<u32>, block: u32) -> mat4x4<f32> {
  let w = step_down(queries, chunk, kv_head, j + 3, t, block);
  let z = step_down(queries, chunk, kv_head, j + 2, t, block);
  let y = step_down(queries, chunk, kv_head, j + 1, t, block);
  return mat4x4(step_down(queries, chunk, kv_head, j, t, block), y, z, w);
}

fn store(row: u32, j: u32, t: u32, value: vec4<f32>) {
  scores[row * 16 + j / 4] = select(vec4(0.0), value, j + vec4(0, 1, 2, 3) <= vec4(t));
}

// grid: 4 sub-chunks × 16 row blocks / WORKGROUP, HEADS, chunks
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let first_row = id.x % 16 * 4;
  let first = id.x / 16 * 16;   // the sub-chunk's first key
  let head = id.y;
  let kv_head = head / G;
  let chunk = chunks[id.z];
  if (first_row >= chunk.length || first > first_row) {
    return;
  }
  // Rows past the chunk's end repeat its last one and are not stored.
  let t = min(first_row + vec4(0, 1, 2, 3), vec4(chunk.length - 1));
  let rows = (chunk.first + t) * HEADS + head;
  var a = mat4x4<f32>();
  var b = mat4x4<f32>();
  var c = mat4x4<f32>();
  var d = mat4x4<f32>();
  for (var block = 0u; block < K_BLOCKS; block++) {
    var queries = mat4x4(q4(rows.x, block), q4(rows.y, block),
                         q4(rows.z, block), q4(rows.w, block));
#if GATE_AXIS == key
    if (first + 16 <= first_row) {
      let kv_rows = (chunk.first + t) * KV_HEADS + kv_head;
      var between = vec4(1.0);   // decay over whole sub-chunks between keys and rows
      for (var last = first + 31; last < first_row; last += 16) {
        between *= prefix4((chunk.first + last) * KV_HEADS + kv_head, block);
      }
      queries[0] *= between * prefix4(kv_rows.x, block);
      queries[1] *= between * prefix4(kv_rows.y, block);
      queries[2] *= between * prefix4(kv_rows.z, block);
      queries[3] *= between * prefix4(kv_rows.w, block);
    }
#endif
    d += four_down(&queries, chunk, kv_head, first + 12, t, block);
    c += four_down(&queries, chunk, kv_head, first + 8, t, block);
    b += four_down(&queries, chunk, kv_head, first + 4, t, block);
    a += four_down(&queries, chunk, kv_head, first, t, block);
  }
  a = transpose(a);
  b = transpose(b);
  c = transpose(c);
  d = transpose(d);
  for (var i = 0u; i < min(4, chunk.length - first_row); i++) {
    store(rows[i], first, t[i], a[i]);
    store(rows[i], first + 4, t[i], b[i]);
    store(rows[i], first + 8, t[i], c[i]);
    store(rows[i], first + 12, t[i], d[i]);
  }
}

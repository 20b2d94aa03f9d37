// What each chunk of a prompt adds to a state: its tokens k vᵀ, decayed to the chunk's end,
//   gain ← decay[j] · gain + k[j] v[j]ᵀ   for the chunk's rows j in order, from zero.
// An invocation owns 4 rows κ × 4 columns ν. Nothing is shared but loads, which caches serve:
// one text without barriers for all adapters.
#include "step.wgsl"
#include "blocks.wgsl"
#include "chunk_decays.wgsl"
#param WORKGROUP: u32
#param KV_HEADS: u32
#param K: u32
#param V: u32
#param GATE_AXIS: key | value
#param VECTOR: yes | no         // K and V are multiples of four

@group(0) @binding(0) var<storage, read> chunks: array<Chunk>;

const K_BLOCKS = (K + 3) / 4;
const V_BLOCKS = (V + 3) / 4;
#if GATE_AXIS == key
const DIM = K;
#else
const DIM = V;
#endif

#if VECTOR == yes
@group(0) @binding(1) var<storage, read> k: array<vec4<f32>>;            // [tokens, KV_HEADS, K]
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;            // [tokens, KV_HEADS, V]
// gates: [tokens, KV_HEADS, 2, DIM]
@group(0) @binding(3) var<storage, read> gates: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> gains: array<vec4<f32>>;  // [chunks, KV_HEADS, K, V]

fn k4(row: u32, block: u32) -> vec4<f32> { return k[row * K_BLOCKS + block]; }
fn v4(row: u32, block: u32) -> vec4<f32> { return v[row * V_BLOCKS + block]; }
fn store(row: u32, block: u32, value: vec4<f32>) { gains[row * V_BLOCKS + block] = value; }
#else
@group(0) @binding(1) var<storage, read> k: array<f32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;
@group(0) @binding(3) var<storage, read> gates: array<f32>;
@group(0) @binding(4) var<storage, read_write> gains: array<f32>;

fn k4(row: u32, block: u32) -> vec4<f32> {
  let at = row * K + places(block, K);
  return vec4(k[at.x], k[at.y], k[at.z], k[at.w]);
}

fn v4(row: u32, block: u32) -> vec4<f32> {
  let at = row * V + places(block, V);
  return vec4(v[at.x], v[at.y], v[at.z], v[at.w]);
}

fn store(row: u32, block: u32, value: vec4<f32>) {
  for (var i = 0u; i < min(4, V - block * 4); i++) {
    gains[row * V + block * 4 + i] = value[i];
  }
}
#endif

// grid: blocks of the state / WORKGROUP, KV_HEADS, chunks
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= K_BLOCKS * V_BLOCKS) {
    return;
  }
  let k_block = id.x / V_BLOCKS;
  let v_block = id.x % V_BLOCKS;
  let chunk = chunks[id.z];
  var gain = mat4x4<f32>();
  for (var j = 0u; j < chunk.length; j++) {
    let row = (chunk.first + j) * KV_HEADS + id.y;
    let key = k4(row, k_block);
    let value = v4(row, v_block);
#if GATE_AXIS == key
    let decay = decay4(row, k_block);
    gain[0] = gain[0] * decay.x + value * key.x;
    gain[1] = gain[1] * decay.y + value * key.y;
    gain[2] = gain[2] * decay.z + value * key.z;
    gain[3] = gain[3] * decay.w + value * key.w;
#else
    let decay = decay4(row, v_block);
    gain[0] = gain[0] * decay + value * key.x;
    gain[1] = gain[1] * decay + value * key.y;
    gain[2] = gain[2] * decay + value * key.z;
    gain[3] = gain[3] * decay + value * key.w;
#endif
  }
  let first = k_block * 4;
  for (var i = 0u; i < min(4, K - first); i++) {
    store((id.z * KV_HEADS + id.y) * K + first + i, v_block, gain[i]);
  }
}

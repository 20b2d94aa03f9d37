// From chunk to chunk of each prompt segment: the slot's state decays over a chunk and takes in its
// gain. The state in front of each chunk replaces the chunk's gain; the last one goes to the slot.
// An invocation owns four columns of a state row. Elementwise: one text serves all adapters.
#include "step.wgsl"
#include "blocks.wgsl"
#param WORKGROUP: u32
#param KV_HEADS: u32
#param K: u32
#param V: u32
#param GATE_AXIS: key | value
#param SLOT_STRIDE: u32         // floats from one slot to the next
#param VECTOR: yes | no         // V and SLOT_STRIDE are multiples of four

@group(0) @binding(0) var<uniform> counts: Counts;
@group(0) @binding(1) var<storage, read> segments: array<Segment>;

const V_BLOCKS = (V + 3) / 4;
#if GATE_AXIS == key
const DIM = K;
#else
const DIM = V;
#endif

// gates: [tokens, KV_HEADS, 2, DIM]; gains: [chunks, KV_HEADS, K, V]; a slot: [KV_HEADS, K, V]
#if VECTOR == yes
@group(0) @binding(3) var<storage, read_write> gains: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> state: array<vec4<f32>>;

fn load_gain(row: u32, block: u32) -> vec4<f32> { return gains[row * V_BLOCKS + block]; }

fn store_gain(row: u32, block: u32, value: vec4<f32>) { gains[row * V_BLOCKS + block] = value; }

fn load_state(slot: u32, row: u32, block: u32) -> vec4<f32> {
  return state[slot * (SLOT_STRIDE / 4) + row * V_BLOCKS + block];
}

fn store_state(slot: u32, row: u32, block: u32, value: vec4<f32>) {
  state[slot * (SLOT_STRIDE / 4) + row * V_BLOCKS + block] = value;
}
#else
@group(0) @binding(3) var<storage, read_write> gains: array<f32>;
@group(0) @binding(4) var<storage, read_write> state: array<f32>;

fn load_gain(row: u32, block: u32) -> vec4<f32> {
  let at = row * V + places(block, V);
  return vec4(gains[at.x], gains[at.y], gains[at.z], gains[at.w]);
}

fn store_gain(row: u32, block: u32, value: vec4<f32>) {
  for (var i = 0u; i < min(4, V - block * 4); i++) {
    gains[row * V + block * 4 + i] = value[i];
  }
}

fn load_state(slot: u32, row: u32, block: u32) -> vec4<f32> {
  let at = slot * SLOT_STRIDE + row * V + places(block, V);
  return vec4(state[at.x], state[at.y], state[at.z], state[at.w]);
}

fn store_state(slot: u32, row: u32, block: u32, value: vec4<f32>) {
  for (var i = 0u; i < min(4, V - block * 4); i++) {
    state[slot * SLOT_STRIDE + row * V + block * 4 + i] = value[i];
  }
}
#endif

#if GATE_AXIS == value && VECTOR == yes
@group(0) @binding(2) var<storage, read> gates: array<vec4<f32>>;

fn prefix4(row: u32, i: u32, block: u32) -> vec4<f32> {
  return gates[(row * 2 + 1) * V_BLOCKS + block];
}
#else
@group(0) @binding(2) var<storage, read> gates: array<f32>;

// The prefix decay of token row `row` for a block of state row `i`.
fn prefix4(row: u32, i: u32, block: u32) -> vec4<f32> {
#if GATE_AXIS == key
  return vec4(gates[(row * 2 + 1) * DIM + i]);
#else
  let at = (row * 2 + 1) * DIM + places(block, DIM);
  return vec4(gates[at.x], gates[at.y], gates[at.z], gates[at.w]);
#endif
}
#endif

// grid: blocks of state rows / WORKGROUP, KV_HEADS, prompt segments
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= K * V_BLOCKS) {
    return;
  }
  let i = id.x / V_BLOCKS;
  let block = id.x % V_BLOCKS;
  let kv_head = id.y;
  let segment = segments[counts.decodes + id.z];
  var current = load_state(segment.slot, kv_head * K + i, block);
  var chunk = segment.first_chunk;
  var start = 0u;
  while (start < segment.length) {
    let length = min(64 - (segment.position + start) % 64, segment.length - start);
    let row = (chunk * KV_HEADS + kv_head) * K + i;
    let gain = load_gain(row, block);
    store_gain(row, block, current);
    var kept = vec4(1.0);
    for (var t = 0u; t < length; t += 16) {
      let last = segment.first + start + min(t + 15, length - 1);
      kept *= prefix4(last * KV_HEADS + kv_head, i, block);
    }
    // Written as fma: the first round of a segment must round as the later ones do.
    current = fma(current, kept, gain);
    start += length;
    chunk += 1;
  }
  store_state(segment.slot, kv_head * K + i, block, current);
}

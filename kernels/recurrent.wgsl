// One token of gated linear attention for each decode row: the slot's state decays, takes in the
// token, and is read by the query heads of its group:
//   S[κ, ν] ← exp(gate) · S[κ, ν] + k[κ] · v[ν],   o_h[ν] = SCALE · Σ_κ q_h[κ] · S[κ, ν]
// An invocation owns four columns ν and streams every SLICES-th row κ; a workgroup holds BLOCKS
// column blocks × SLICES slices. With one slice (software adapters) there is nothing to reduce and no
// barrier. Sums run in an order fixed by K and SLICES.
#include "step.wgsl"
#include "blocks.wgsl"
#include "decay.wgsl"
#param HEADS: u32
#param KV_HEADS: u32
#param K: u32
#param V: u32
#param SCALE: f32
#param GATE_AXIS: key | value   // the gate decays rows κ or columns ν of the state
#param SLOT_STRIDE: u32         // floats from one slot to the next
#param VECTOR: yes | no         // V and SLOT_STRIDE are multiples of four
#param BLOCKS: u32              // column blocks of a workgroup
#param SLICES: u32              // rows κ that it takes side by side

@group(0) @binding(0) var<storage, read> segments: array<Segment>;   // segment i holds token i
@group(0) @binding(1) var<storage, read> q: array<f32>;              // [tokens, HEADS, K]
@group(0) @binding(2) var<storage, read> k: array<f32>;              // [tokens, KV_HEADS, K]

const G = HEADS / KV_HEADS;
const V_BLOCKS = (V + 3) / 4;

#if VECTOR == yes
@group(0) @binding(3) var<storage, read> v: array<vec4<f32>>;            // [tokens, KV_HEADS, V]
@group(0) @binding(4) var<storage, read_write> state: array<vec4<f32>>;  // slot: [KV_HEADS, K, V]
@group(0) @binding(5) var<storage, read_write> o: array<vec4<f32>>;      // [tokens, HEADS, V]

fn v4(row: u32, block: u32) -> vec4<f32> { return v[row * V_BLOCKS + block]; }

// Decays a block of a state row, adds to it, and returns the new numbers.
fn update(slot: u32, row: u32, block: u32, kept: vec4<f32>, added: vec4<f32>) -> vec4<f32> {
  let at = slot * (SLOT_STRIDE / 4) + row * V_BLOCKS + block;
  let next = state[at] * kept + added;
  state[at] = next;
  return next;
}

fn state4(slot: u32, row: u32, block: u32) -> vec4<f32> {
  return state[slot * (SLOT_STRIDE / 4) + row * V_BLOCKS + block];
}

fn store(row: u32, block: u32, value: vec4<f32>) { o[row * V_BLOCKS + block] = value; }
#else
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read_write> state: array<f32>;
@group(0) @binding(5) var<storage, read_write> o: array<f32>;

fn v4(row: u32, block: u32) -> vec4<f32> {
  let at = row * V + places(block, V);
  return vec4(v[at.x], v[at.y], v[at.z], v[at.w]);
}

fn update(slot: u32, row: u32, block: u32, kept: vec4<f32>, added: vec4<f32>) -> vec4<f32> {
  let first = slot * SLOT_STRIDE + row * V + block * 4;
  var next = vec4(0.0);
  for (var i = 0u; i < min(4, V - block * 4); i++) {
    next[i] = state[first + i] * kept[i] + added[i];
    state[first + i] = next[i];
  }
  return next;
}

fn state4(slot: u32, row: u32, block: u32) -> vec4<f32> {
  let at = slot * SLOT_STRIDE + row * V + places(block, V);
  return vec4(state[at.x], state[at.y], state[at.z], state[at.w]);
}

fn store(row: u32, block: u32, value: vec4<f32>) {
  for (var i = 0u; i < min(4, V - block * 4); i++) {
    o[row * V + block * 4 + i] = value[i];
  }
}
#endif

#if GATE_AXIS == key
@group(0) @binding(6) var<storage, read> gate: array<f32>;        // [tokens, KV_HEADS, K]
#elif VECTOR == yes
@group(0) @binding(6) var<storage, read> gate: array<vec4<f32>>;  // [tokens, KV_HEADS, V]

fn gate4(row: u32, block: u32) -> vec4<f32> { return gate[row * V_BLOCKS + block]; }
#else
@group(0) @binding(6) var<storage, read> gate: array<f32>;

fn gate4(row: u32, block: u32) -> vec4<f32> {
  let at = row * V + places(block, V);
  return vec4(gate[at.x], gate[at.y], gate[at.z], gate[at.w]);
}
#endif

#if SLICES > 1
// Sums of two heads at a time, 4 KiB: SwiftShader takes seconds to compile 16 KiB (2026-11).
var<workgroup> partials: array<array<array<vec4<f32>, BLOCKS>, SLICES>, 2>;
#endif

// grid: column blocks / BLOCKS, KV_HEADS, decode rows
@compute @workgroup_size(BLOCKS, SLICES)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(local_invocation_id) lane: vec3<u32>) {
  let block = group.x * BLOCKS + lane.x;
  let kv_head = group.y;
  let token = group.z;
  let slot = segments[token].slot;
  let kv_row = token * KV_HEADS + kv_head;
  let q_row = token * HEADS + kv_head * G;

  let value = v4(kv_row, min(block, V_BLOCKS - 1));
#if GATE_AXIS == value
  let gates = gate4(kv_row, min(block, V_BLOCKS - 1));
  let kept = vec4(decay(gates.x), decay(gates.y), decay(gates.z), decay(gates.w));
#endif

  // Four heads at a time; those after the first four read the state that these have left.
  for (var first = 0u; first < G; first += 4) {
    let rows = q_row + min(first + vec4(0, 1, 2, 3), vec4(G - 1));
    // One column a head, each named: drivers keep arrays indexed by loops in slow memory.
    var sums = mat4x4<f32>();
    for (var i = lane.y; i < select(0, K, block < V_BLOCKS); i += SLICES) {
      let row = kv_head * K + i;
      var now: vec4<f32>;
      if (first == 0) {
#if GATE_AXIS == key
        let kept = vec4(decay(gate[kv_row * K + i]));
#endif
        now = update(slot, row, block, kept, k[kv_row * K + i] * value);
      } else {
        now = state4(slot, row, block);
      }
      sums[0] += q[rows.x * K + i] * now;
      if (G > 1) {
        sums[1] += q[rows.y * K + i] * now;
      }
      if (G > 2) {
        sums[2] += q[rows.z * K + i] * now;
      }
      if (G > 3) {
        sums[3] += q[rows.w * K + i] * now;
      }
    }

    let heads = min(4, G - first);
#if SLICES > 1
    for (var h = 0u; h < heads; h += 2) {
      partials[0][lane.y][lane.x] = sums[h];
      partials[1][lane.y][lane.x] = sums[h + 1];
      workgroupBarrier();
      if (lane.y < 2 && h + lane.y < heads && block < V_BLOCKS) {
        var sum = vec4(0.0);
        for (var slice = 0u; slice < SLICES; slice++) {
          sum += partials[lane.y][slice][lane.x];
        }
        store(q_row + first + h + lane.y, block, SCALE * sum);
      }
      workgroupBarrier();
    }
#else
    for (var h = 0u; h < heads && block < V_BLOCKS; h++) {
      store(q_row + first + h, block, SCALE * sums[h]);
    }
#endif
  }
}

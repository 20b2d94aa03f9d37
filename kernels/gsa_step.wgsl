// A decode row's way through a GSA layer from its first product to the norm, in one dispatch: feature
// maps, slot gates, the step of both memories and the softmax over the slots between them. One
// workgroup makes the query heads of one kv head.
#include "step.wgsl"
#include "features.wgsl"
#include "decay.wgsl"
#include "sweep.wgsl"
#param HEADS: u32
#param KV_HEADS: u32
#param K: u32
#param SLOTS: u32                  // a multiple of 4; GROUP · SLOTS ≤ 4 · WORKGROUP
#param V: u32                      // likewise
#param SCALE: f32                  // of the scores
#param STRIDE: u32                 // numbers in a row of p
#param SLOT_STRIDE: u32            // floats from one slot to the next, a multiple of 4
#param VALUES_AT: u32              // floats from the memory of keys to that of values, likewise

// q | k | v | slot gates [KV_HEADS, SLOTS]
const K_AT = HEADS * K;
const V_AT = K_AT + KV_HEADS * K;
const GATE_AT = V_AT + KV_HEADS * V;

const SLOT_BLOCKS = SLOTS / 4;
const COLUMNS = V / 4;

@group(0) @binding(0) var<storage, read> segments: array<Segment>;      // segment i holds token i
// binding 1, state: slot keys [KV_HEADS, K, SLOTS], at VALUES_AT values [KV_HEADS, SLOTS, V]
@group(0) @binding(2) var<storage, read> p: array<f32>;                 // [tokens, STRIDE]
@group(0) @binding(3) var<storage, read_write> o: array<vec4<f32>>;     // [tokens, HEADS, V]

// Of each block of four scores.
var<workgroup> maxima: array<f32, WORKGROUP>;
var<workgroup> totals: array<f32, WORKGROUP>;

fn p4(at: u32) -> vec4<f32> {
  return vec4(p[at], p[at + 1], p[at + 2], p[at + 3]);
}

// grid: KV_HEADS, decode rows
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let kv_head = group.x;
  let token = group.y;
  let row = token * STRIDE;
  let base = segments[token].slot * (SLOT_STRIDE / 4);
  let keys = make_sweep(K, SLOT_BLOCKS, 0, base + kv_head * K * SLOT_BLOCKS, lane);
  let values = make_sweep(SLOTS, COLUMNS, K, base + VALUES_AT / 4 + kv_head * SLOTS * COLUMNS, lane);
  // Asked for first, since they come from furthest away.
  let first_keys = load_rows(keys, 0);
  let first_values = load_rows(values, 0);
  let value = silu4(p4(row + V_AT + kv_head * V + 4 * values.column));

  for (var i = lane; i < K; i += WORKGROUP) {
#for h < GROUP
    queries[i * HEAD_PLACES + $h] = feature(p[row + (kv_head * GROUP + $h) * K + i]);
#endfor
    row_factors[i] = RowFactors(1.0, feature(p[row + K_AT + kv_head * K + i]));
  }
  for (var i = lane; i < SLOTS; i += WORKGROUP) {
    let gate = log_gate(p[row + GATE_AT + kv_head * SLOTS + i]);
    row_factors[K + i] = RowFactors(decay(gate), one_minus_exp(gate));
  }
  workgroupBarrier();

  let slot = K + 4 * keys.column;
  let a = row_factors[slot];
  let b = row_factors[slot + 1];
  let c = row_factors[slot + 2];
  let d = row_factors[slot + 3];
  let key_sums = advance(keys, first_keys, vec4(a.decay, b.decay, c.decay, d.decay),
                         vec4(a.write, b.write, c.write, d.write));
  // Of slice h < GROUP, four scores of head h; other invocations repeat the last head's place.
  let scores = SCALE * sum_slices(keys, lane, key_sums);
  let score_head = min(keys.slice, GROUP - 1);

  maxima[lane] = max(max(scores.x, scores.y), max(scores.z, scores.w));
  workgroupBarrier();
  var largest = maxima[score_head * SLOT_BLOCKS];
  for (var i = 1u; i < SLOT_BLOCKS; i++) {
    largest = max(largest, maxima[score_head * SLOT_BLOCKS + i]);
  }
  let weights = exp(scores - largest);
  totals[lane] = weights.x + weights.y + (weights.z + weights.w);
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < SLOT_BLOCKS; i++) {
    total += totals[score_head * SLOT_BLOCKS + i];
  }
  if (keys.slice < GROUP) {
    let share = weights / total;
    let at = slot * HEAD_PLACES + keys.slice;
    queries[at] = share.x;
    queries[at + HEAD_PLACES] = share.y;
    queries[at + 2 * HEAD_PLACES] = share.z;
    queries[at + 3 * HEAD_PLACES] = share.w;
  }
  workgroupBarrier();

  let sums = advance(values, first_values, vec4(1.0), value);
  let result = sum_slices(values, lane, sums);
  if (values.slice < GROUP) {
    o[(token * HEADS + kv_head * GROUP + values.slice) * COLUMNS + values.column] = result;
  }
}

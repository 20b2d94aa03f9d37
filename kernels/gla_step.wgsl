// A decode row's way through a GLA layer between its two products, in one dispatch: feature maps, log
// gates, the step of the state (kernels/recurrent.wgsl has its formula), the norm of each head and
// the output gate. One workgroup makes the query heads of one kv head.
#include "step.wgsl"
#include "features.wgsl"
#include "decay.wgsl"
#include "sweep.wgsl"
#param HEADS: u32
#param KV_HEADS: u32
#param K: u32
#param V: u32                      // a multiple of 4, for int8 of 32; GROUP · V ≤ 4 · WORKGROUP
#param SCALE: f32
#param STRIDE: u32                 // numbers in a row of p
#param GATE_RANK: u32              // a multiple of 4
#param SLOT_STRIDE: u32            // floats from one slot to the next, a multiple of 4
#param EPS: f32
#param WEIGHT: none | vector
#param OUTPUT_GATE: none | silu
#param OUTPUT: f32 | int8
#if OUTPUT == int8
#include "int8.wgsl"
#endif

const COLUMNS = V / 4;

// q | k | v | gate inputs [GATE_RANK] | output gates [HEADS, V], if there are any
const K_AT = HEADS * K;
const V_AT = K_AT + KV_HEADS * K;
const GATE_AT = V_AT + KV_HEADS * V;
const OUTPUT_GATE_AT = GATE_AT + GATE_RANK;

@group(0) @binding(0) var<storage, read> segments: array<Segment>;      // segment i holds token i
// binding 1, state: slot [KV_HEADS, K, V]
@group(0) @binding(2) var<storage, read> p: array<f32>;                 // [tokens, STRIDE]
@group(0) @binding(3) var<storage, read> gate_up: array<vec4<f32>>;     // [KV_HEADS, K, GATE_RANK]
@group(0) @binding(4) var<storage, read> gate_bias: array<f32>;         // [KV_HEADS, K]
#if WEIGHT == vector
@group(0) @binding(5) var<storage, read> weight: array<vec4<f32>>;      // [V]
#endif
#if OUTPUT == f32
@group(0) @binding(6) var<storage, read_write> y: array<vec4<f32>>;     // [tokens, HEADS, V]
#else
@group(0) @binding(6) var<storage, read_write> y: array<u32>;           // [tokens, HEADS, V / 4]
@group(0) @binding(7) var<storage, read_write> scales: array<f32>;      // [tokens, HEADS, V / 32]
#endif

// Of each output block.
var<workgroup> squares: array<f32, WORKGROUP>;
#if OUTPUT == int8
var<workgroup> maxima: array<f32, WORKGROUP>;
#endif

fn p4(at: u32) -> vec4<f32> {
  return vec4(p[at], p[at + 1], p[at + 2], p[at + 3]);
}

fn decay_of(kv_head: u32, channel: u32, row: u32) -> f32 {
  let first = (kv_head * K + channel) * (GATE_RANK / 4);
  var x = 0.0;
  for (var r = 0u; r < GATE_RANK / 4; r++) {
    x += dot(gate_up[first + r], p4(row + GATE_AT + 4 * r));
  }
  return decay(log_gate(x + gate_bias[kv_head * K + channel]));
}

// grid: KV_HEADS, decode rows
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let kv_head = group.x;
  let token = group.y;
  let row = token * STRIDE;
  let base = segments[token].slot * (SLOT_STRIDE / 4) + kv_head * K * COLUMNS;
  let sweep = make_sweep(K, COLUMNS, 0, base, lane);
  // Asked for first, since they come from furthest away.
  let first = load_rows(sweep, 0);
  let value = p4(row + V_AT + kv_head * V + 4 * sweep.column);

  // In the end an invocation has one block of one head.
  let mine = sweep.slice < GROUP;
  let head = kv_head * GROUP + min(sweep.slice, GROUP - 1);
#if OUTPUT_GATE == silu
  let open = silu4(p4(row + OUTPUT_GATE_AT + head * V + 4 * sweep.column));
#endif
#if WEIGHT == vector
  let norm_weight = weight[sweep.column];
#endif

  for (var i = lane; i < K; i += WORKGROUP) {
#for h < GROUP
    queries[i * HEAD_PLACES + $h] = feature(p[row + (kv_head * GROUP + $h) * K + i]);
#endfor
    let key = feature(p[row + K_AT + kv_head * K + i]);
    row_factors[i] = RowFactors(decay_of(kv_head, i, row), key);
  }
  workgroupBarrier();

  let sums = advance(sweep, first, vec4(1.0), value);
  let o = SCALE * sum_slices(sweep, lane, sums);

  squares[lane] = dot(o, o);
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < COLUMNS; i++) {
    total += squares[min(sweep.slice, GROUP - 1) * COLUMNS + i];
  }
  var result = o * inverseSqrt(total / f32(V) + EPS);
#if WEIGHT == vector
  result *= norm_weight;
#endif
#if OUTPUT_GATE == silu
  result *= open;
#endif

  let block = (token * HEADS + head) * COLUMNS + sweep.column;
#if OUTPUT == f32
  if (mine) {
    y[block] = result;
  }
#else
  maxima[lane] = largest_of(result);
  workgroupBarrier();
  if (mine) {
    var largest = 0.0;
    for (var i = 0u; i < 8; i++) {
      largest = max(largest, maxima[lane / 8 * 8 + i]);
    }
    y[block] = to_bytes(result, inverse_scale_of(largest));
    if (lane % 8 == 0) {
      scales[block / 8] = scale_of(largest);
    }
  }
#endif
}

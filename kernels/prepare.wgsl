// From a layer's fused projection to the inputs of its GLA or GSA mixer: feature maps on q and k,
// silu on the values of GSA, log gates, write strengths. One invocation for each number of a token;
// nothing is shared between invocations, so both variants use this text.
#include "rows.wgsl"
#include "features.wgsl"
#param WORKGROUP: u32
#param MIXER: gla | gsa
#param HEADS: u32
#param KV_HEADS: u32
#param KEY_DIM: u32
#param VALUE_DIM: u32
#param GATE_DIM: u32                // log gates of one kv head: KEY_DIM (gla) or the slots (gsa)
#param STRIDE: u32                  // numbers in a row of p: q | k | v | gate inputs | others
#param QKV: projection | convolved  // where q, k and v are read
#param GATE_RANK: u32               // gla: numbers that the gates are projected up from

const Q_SIZE = HEADS * KEY_DIM;
const K_SIZE = KV_HEADS * KEY_DIM;
const V_SIZE = KV_HEADS * VALUE_DIM;
const QKV_SIZE = Q_SIZE + K_SIZE + V_SIZE;
const GATES_SIZE = KV_HEADS * GATE_DIM;

@group(0) @binding(0) var<uniform> counts: Counts;
@group(0) @binding(1) var<storage, read> p: array<f32>;            // [tokens, STRIDE]
@group(0) @binding(2) var<storage, read_write> q: array<f32>;      // [tokens, HEADS, KEY_DIM]
@group(0) @binding(3) var<storage, read_write> k: array<f32>;      // [tokens, KV_HEADS, KEY_DIM]
@group(0) @binding(4) var<storage, read_write> v: array<f32>;      // [tokens, KV_HEADS, VALUE_DIM]
@group(0) @binding(5) var<storage, read_write> gate: array<f32>;   // [tokens, KV_HEADS, GATE_DIM]
#if QKV == convolved
@group(0) @binding(6) var<storage, read> qkv: array<f32>;          // [tokens, QKV_SIZE]
#endif
#if MIXER == gla
@group(0) @binding(7) var<storage, read> gate_up: array<f32>;      // [KV_HEADS, KEY_DIM, GATE_RANK]
@group(0) @binding(8) var<storage, read> gate_bias: array<f32>;    // [KV_HEADS, KEY_DIM]
#else
@group(0) @binding(7) var<storage, read_write> s: array<f32>;      // [tokens, KV_HEADS, GATE_DIM]
#endif
#if FEATURE_MAP == t2r
@group(0) @binding(9) var<storage, read> t2r: array<f32>;          // [KEY_DIM out, KEY_DIM in]
#endif

// Number i of a token's q | k | v.
fn input(token: u32, i: u32) -> f32 {
#if QKV == convolved
  return qkv[token * QKV_SIZE + i];
#else
  return p[token * STRIDE + i];
#endif
}

// The same of q or k behind the feature map.
fn mapped_input(token: u32, i: u32) -> f32 {
#if FEATURE_MAP == t2r
  let channel = i % KEY_DIM;
  var sum = 0.0;
  for (var j = 0u; j < KEY_DIM; j++) {
    sum += t2r[channel * KEY_DIM + j] * input(token, i - channel + j);
  }
  return feature(sum);
#else
  return feature(input(token, i));
#endif
}

fn gate_of(token: u32, i: u32) -> f32 {
  let first = token * STRIDE + QKV_SIZE;
#if MIXER == gla
  var x = 0.0;
  for (var r = 0u; r < GATE_RANK; r++) {
    x += gate_up[i * GATE_RANK + r] * p[first + r];
  }
  return log_gate(x + gate_bias[i]);
#else
  return log_gate(p[first + i]);
#endif
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>) {
  let index = id.y * groups.x * WORKGROUP + id.x;
  let token = first_row() + index / (QKV_SIZE + GATES_SIZE);
  let i = index % (QKV_SIZE + GATES_SIZE);
  if (token >= end_row()) {
    return;
  }
  if (i < Q_SIZE) {
    q[token * Q_SIZE + i] = mapped_input(token, i);
  } else if (i < Q_SIZE + K_SIZE) {
    k[token * K_SIZE + i - Q_SIZE] = mapped_input(token, i);
  } else if (i < QKV_SIZE) {
    let x = input(token, i);
#if MIXER == gla
    v[token * V_SIZE + i - Q_SIZE - K_SIZE] = x;
#else
    v[token * V_SIZE + i - Q_SIZE - K_SIZE] = silu(x);
#endif
  } else {
    let channel = i - QKV_SIZE;
    let g = gate_of(token, channel);
    gate[token * GATES_SIZE + channel] = g;
#if MIXER == gsa
    s[token * GATES_SIZE + channel] = one_minus_exp(g);
#endif
  }
}

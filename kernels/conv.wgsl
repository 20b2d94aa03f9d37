// Depthwise causal convolution over the tokens of each sequence, then silu. One invocation for each
// channel of a token; nothing is shared between invocations, so both variants use this text.
//
// Only the first HISTORY outputs of a segment look into the state. The invocation of the segment's
// first token makes all of them and then replaces the state, so no other one touches it. Both ways
// to an output are the same chain of fma, so that a prompt may be cut anywhere.
#include "step.wgsl"
#include "math.wgsl"
#param WORKGROUP: u32
#param CHANNELS: u32
#param SIZE: u32                // tokens under the filter
#param STRIDE: u32              // numbers in a row of p; the channels come first
#param SLOT_STRIDE: u32
#param BIAS: none | vector

const HISTORY = SIZE - 1;

@group(0) @binding(0) var<uniform> counts: Counts;
@group(0) @binding(1) var<storage, read> segments: array<Segment>;
@group(0) @binding(2) var<storage, read> segment_of: array<u32>;    // [tokens]
@group(0) @binding(3) var<storage, read> p: array<f32>;             // [tokens, STRIDE]
@group(0) @binding(4) var<storage, read> weight: array<f32>;        // [CHANNELS, SIZE], newest last
@group(0) @binding(5) var<storage, read_write> y: array<f32>;       // [tokens, CHANNELS]
// Slot s at float s · SLOT_STRIDE: last inputs [CHANNELS, HISTORY], oldest first.
@group(0) @binding(6) var<storage, read_write> state: array<f32>;
#if BIAS == vector
@group(0) @binding(7) var<storage, read> bias: array<f32>;          // [CHANNELS]
#endif

fn activate(sum: f32, channel: u32) -> f32 {
#if BIAS == vector
  return silu(sum + bias[channel]);
#else
  return silu(sum);
#endif
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>) {
  let index = id.y * groups.x * WORKGROUP + id.x;
  let token = index / CHANNELS;
  let channel = index % CHANNELS;
  if (token >= counts.tokens) {
    return;
  }
  let segment = segments[segment_of[token]];
  let place = token - segment.first;

  if (place >= max(HISTORY, 1u)) {
    var sum = 0.0;
    for (var j = 0u; j < SIZE; j++) {
      sum = fma(weight[channel * SIZE + j], p[(token - HISTORY + j) * STRIDE + channel], sum);
    }
    y[token * CHANNELS + channel] = activate(sum, channel);
    return;
  }
  if (place > 0) {
    return;
  }

  // Inputs in sequence order: the state's, then those of this segment.
  let state_at = segment.slot * SLOT_STRIDE + channel * HISTORY;
  var past: array<f32, max(HISTORY, 1u)>;
  for (var i = 0u; i < HISTORY; i++) {
    past[i] = state[state_at + i];
  }
  let input_at = token * STRIDE + channel;
  for (var t = 0u; t < min(max(HISTORY, 1u), segment.length); t++) {
    var sum = 0.0;
    for (var j = 0u; j < SIZE; j++) {
      let at = t + j;
      if (at < HISTORY) {
        sum = fma(weight[channel * SIZE + j], past[at], sum);
      } else {
        sum = fma(weight[channel * SIZE + j], p[input_at + (at - HISTORY) * STRIDE], sum);
      }
    }
    y[(token + t) * CHANNELS + channel] = activate(sum, channel);
  }
  for (var i = 0u; i < HISTORY; i++) {
    let at = segment.length + i;
    if (at < HISTORY) {
      state[state_at + i] = past[at];
    } else {
      state[state_at + i] = p[input_at + (at - HISTORY) * STRIDE];
    }
  }
}

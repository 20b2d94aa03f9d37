// Rotary embedding of q and k, half layout (channel i turns with channel i + HEAD_DIM / 2), and the
// split of a fused projection into q, k and v. One invocation for each pair of channels; nothing is
// shared between invocations, so both variants use this text.
#include "step.wgsl"
#param WORKGROUP: u32
#param HEADS: u32
#param KV_HEADS: u32
#param HEAD_DIM: u32
#param STRIDE: u32   // numbers in a row of p

const PAIRS = HEAD_DIM / 2;
const ROW_HEADS = HEADS + 2 * KV_HEADS;

@group(0) @binding(0) var<uniform> counts: Counts;
@group(0) @binding(1) var<storage, read> segments: array<Segment>;
@group(0) @binding(2) var<storage, read> segment_of: array<u32>;    // [tokens]
@group(0) @binding(3) var<storage, read> table: array<vec2<f32>>;   // [positions, PAIRS] cos, sin
@group(0) @binding(4) var<storage, read> p: array<f32>;             // [tokens, STRIDE]: q | k | v
@group(0) @binding(5) var<storage, read_write> q: array<f32>;       // [tokens, HEADS, HEAD_DIM]
@group(0) @binding(6) var<storage, read_write> k: array<f32>;       // [tokens, KV_HEADS, HEAD_DIM]
@group(0) @binding(7) var<storage, read_write> v: array<f32>;       // [tokens, KV_HEADS, HEAD_DIM]

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>) {
  let index = id.y * groups.x * WORKGROUP + id.x;
  let pair = index % PAIRS;
  let head = index / PAIRS % ROW_HEADS;
  let token = index / PAIRS / ROW_HEADS;
  if (token >= counts.tokens) {
    return;
  }
  let at = token * STRIDE + head * HEAD_DIM + pair;
  let a = p[at];
  let b = p[at + PAIRS];
  if (head >= HEADS + KV_HEADS) {
    let to = (token * KV_HEADS + head - HEADS - KV_HEADS) * HEAD_DIM + pair;
    v[to] = a;
    v[to + PAIRS] = b;
    return;
  }
  let segment = segments[segment_of[token]];
  let turn = table[(segment.position + token - segment.first) * PAIRS + pair];
  let turned = vec2(a * turn.x - b * turn.y, a * turn.y + b * turn.x);
  if (head < HEADS) {
    let to = (token * HEADS + head) * HEAD_DIM + pair;
    q[to] = turned.x;
    q[to + PAIRS] = turned.y;
  } else {
    let to = (token * KV_HEADS + head - HEADS) * HEAD_DIM + pair;
    k[to] = turned.x;
    k[to + PAIRS] = turned.y;
  }
}

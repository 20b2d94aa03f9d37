// First part of the chunked form: decays from log gates. Sub-chunks of 16 rows stand alone:
//   decay[t] = exp(gate[t]),   prefix[t] = Π decay[i], i from the sub-chunk's first row to t
// Every decay between two rows that later parts need is a product of these, so no sum of gates
// has to cancel another, no exponent is positive, and a product that underflows stands for a
// number that would. Elementwise: one text serves all adapters.
#include "step.wgsl"
#include "decay.wgsl"
#param WORKGROUP: u32
#param KV_HEADS: u32
#param DIM: u32

@group(0) @binding(0) var<storage, read> chunks: array<Chunk>;
@group(0) @binding(1) var<storage, read> gate: array<f32>;          // [tokens, KV_HEADS, DIM] log
@group(0) @binding(2) var<storage, read_write> gates: array<f32>;   // [tokens, KV_HEADS, 2, DIM]

// grid: channels / WORKGROUP, 4 sub-chunks, chunks
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let channel = id.x;
  if (channel >= KV_HEADS * DIM) {
    return;
  }
  let chunk = chunks[id.z];
  var prefix = 1.0;
  for (var t = id.y * 16; t < min(id.y * 16 + 16, chunk.length); t++) {
    let token = chunk.first + t;
    let kept = decay(gate[token * KV_HEADS * DIM + channel]);
    prefix *= kept;
    let at = (token * KV_HEADS + channel / DIM) * 2 * DIM + channel % DIM;
    gates[at] = kept;
    gates[at + DIM] = prefix;
  }
}

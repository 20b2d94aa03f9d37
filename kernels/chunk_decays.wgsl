// Decays of a chunk's rows as chunk_gates.wgsl makes them. The including file binds `gates`,
// [tokens, KV_HEADS, 2, DIM], as vec4 if VECTOR, and declares the constant DIM.
#include "blocks.wgsl"
#param VECTOR: yes | no         // DIM is a multiple of four

#if VECTOR == yes
fn decay4(row: u32, block: u32) -> vec4<f32> { return gates[row * 2 * (DIM / 4) + block]; }
fn prefix4(row: u32, block: u32) -> vec4<f32> { return gates[(row * 2 + 1) * (DIM / 4) + block]; }
#else
fn decay4(row: u32, block: u32) -> vec4<f32> {
  let at = row * 2 * DIM + places(block, DIM);
  return vec4(gates[at.x], gates[at.y], gates[at.z], gates[at.w]);
}

fn prefix4(row: u32, block: u32) -> vec4<f32> {
  let at = (row * 2 + 1) * DIM + places(block, DIM);
  return vec4(gates[at.x], gates[at.y], gates[at.z], gates[at.w]);
}
#endif

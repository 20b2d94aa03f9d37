// One product of two matrices by the first subgroup: whether a device makes it, and how large it
// makes subgroups to do so.
diagnostic(off, chromium.subgroup_matrix_uniformity);
#include "matrix_units.wgsl"
#param WORKGROUP: u32   // a multiple of every subgroup size

// [1]: the size, 0 if results are wrong
@group(0) @binding(0) var<storage, read_write> seen: array<u32>;

var<workgroup> ones: array<Element, UNIT_K * (UNIT_ROWS + UNIT_OUTPUTS)>;
var<workgroup> results: array<f32, UNIT_ROWS * UNIT_OUTPUTS>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) index: u32,
        @builtin(subgroup_size) subgroup_size: u32) {
  for (var at = index; at < UNIT_K * (UNIT_ROWS + UNIT_OUTPUTS); at += WORKGROUP) {
    ones[at] = 1;
  }
  workgroupBarrier();
  if (index < subgroup_size) {
    let left = subgroupMatrixLoad<Left>(&ones, 0u, false, UNIT_K);
    let right = subgroupMatrixLoad<Right>(&ones, UNIT_K * UNIT_ROWS, true, UNIT_K);
    let sums = subgroupMatrixMultiplyAccumulate(left, right, Result());
    subgroupMatrixStore(&results, 0u, sums, false, UNIT_OUTPUTS);
  }
  workgroupBarrier();
  if (index == 0) {
    seen[0] = select(0u, subgroup_size, results[UNIT_ROWS * UNIT_OUTPUTS - 1] == f32(UNIT_K));
  }
}

// Sums and maxima over a workgroup of WORKGROUP invocations, for any subgroup size from 4.
// Included by subgroup variants only; calls must be in uniform control flow.
enable subgroups;
#param WORKGROUP: u32

var<workgroup> partials: array<f32, WORKGROUP / 4>;

// A subgroup may be larger than the workgroup.
fn subgroups(subgroup_size: u32) -> u32 {
  return (WORKGROUP + subgroup_size - 1) / subgroup_size;
}

fn workgroup_sum(value: f32, lane: u32, subgroup_size: u32) -> f32 {
  let part = subgroupAdd(value);
  if (lane % subgroup_size == 0) {
    partials[lane / subgroup_size] = part;
  }
  workgroupBarrier();
  var sum = 0.0;
  for (var i = 0u; i < subgroups(subgroup_size); i++) {
    sum += partials[i];
  }
  workgroupBarrier();
  return sum;
}

fn workgroup_max(value: f32, lane: u32, subgroup_size: u32) -> f32 {
  let part = subgroupMax(value);
  if (lane % subgroup_size == 0) {
    partials[lane / subgroup_size] = part;
  }
  workgroupBarrier();
  var largest = partials[0];
  for (var i = 1u; i < subgroups(subgroup_size); i++) {
    largest = max(largest, partials[i]);
  }
  workgroupBarrier();
  return largest;
}

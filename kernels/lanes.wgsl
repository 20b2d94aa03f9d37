// Sums over LANES invocations that share four results, first within subgroups, then from one subgroup
// to the next.
#param LANES: u32       // a multiple of every subgroup size
#param GROUPS: u32      // groups of LANES invocations in a workgroup
#param TILE_ROWS: u32

const WORKGROUP = LANES * GROUPS;
// Subgroups have at least four invocations.
const MOST_SUBGROUPS = WORKGROUP / 4;

var<workgroup> partials: array<vec4<f32>, TILE_ROWS * MOST_SUBGROUPS>;

// Calls must be in uniform control flow.
fn keep_partial(m: u32, local: u32, subgroup_size: u32, sum: vec4<f32>) {
  let partial = subgroupAdd(sum);
  if (local % subgroup_size == 0) {
    partials[m * MOST_SUBGROUPS + local / subgroup_size] = partial;
  }
}

fn total(m: u32, group: u32, subgroup_size: u32) -> vec4<f32> {
  let count = LANES / subgroup_size;
  var sum = vec4<f32>();
  for (var i = 0u; i < count; i++) {
    sum += partials[m * MOST_SUBGROUPS + group * count + i];
  }
  return sum;
}

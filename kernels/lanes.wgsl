// Sums over LANES invocations that share four results, first within subgroups, then from one subgroup
// to the next. Groups of LANES make PASSES · TILE_ROWS such results one after another and add up at the
// end: a barrier in between would keep the reads of the next pass waiting.
#param LANES: u32            // a multiple of every subgroup size
#param GROUPS: u32           // groups of LANES invocations in a workgroup
#param PASSES: u32           // times that a group makes four results of each row
#param TILE_ROWS: u32
#param LEAST_SUBGROUP: u32   // invocations of the smallest subgroup

const WORKGROUP = LANES * GROUPS;
const MOST_SUBGROUPS = WORKGROUP / LEAST_SUBGROUP;
// Runs of four results that a workgroup makes of each row.
const RUNS = PASSES * GROUPS;

var<workgroup> partials: array<vec4<f32>, PASSES * TILE_ROWS * MOST_SUBGROUPS>;

// First of the four outputs of a group in a pass.
fn first_output(workgroup: u32, pass_index: u32, local: u32) -> u32 {
  return ((workgroup * PASSES + pass_index) * GROUPS + local / LANES) * 4;
}

// Calls must be in uniform control flow.
fn keep_partial(pass_index: u32, m: u32, local: u32, subgroup_size: u32, sum: vec4<f32>) {
  let partial = subgroupAdd(sum);
  if (local % subgroup_size == 0) {
    partials[(pass_index * TILE_ROWS + m) * MOST_SUBGROUPS + local / subgroup_size] = partial;
  }
}

// Run `run` of row m, which starts at output 4 · run of the workgroup; behind a barrier.
fn total(m: u32, run: u32, subgroup_size: u32) -> vec4<f32> {
  let count = LANES / subgroup_size;
  let first = (run / GROUPS * TILE_ROWS + m) * MOST_SUBGROUPS + run % GROUPS * count;
  var sum = vec4<f32>();
  for (var i = 0u; i < count; i++) {
    sum += partials[first + i];
  }
  return sum;
}

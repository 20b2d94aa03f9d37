// A tile of results and who makes them: SLICES teams take every SLICES-th step along k and add up in the
// end, which keeps more of a GPU busy where there are few tiles.
// TILE_ROWS x TILE_OUTPUTS results, ROWS_EACH x OUTPUTS_EACH of them for each of LINES x COLUMNS invocations of
// a team. 32 neighbours cover 4 lines x 8 columns, so that they read few different addresses at a time.
#param TILE_ROWS: u32
#param TILE_OUTPUTS: u32
#param ROWS_EACH: u32      // rows LINES apart
#param OUTPUTS_EACH: u32   // runs of four, COLUMNS runs apart
#param SLICES: u32

const LINES = TILE_ROWS / ROWS_EACH;         // a multiple of 4
const COLUMNS = TILE_OUTPUTS / OUTPUTS_EACH;   // a multiple of 8
const TEAM = LINES * COLUMNS;
const WORKGROUP = TEAM * SLICES;
// Rows of tiles in workgroup memory have an odd number of places: neighbours fall on other banks.
const X_PITCH = TILE_ROWS + 1;
const W_PITCH = OUTPUTS_EACH * (COLUMNS + 1) + 1;

fn line_of(local: u32) -> u32 {
  return local / 32 / (COLUMNS / 8) * 4 + local % 32 / 8;
}

fn column_of(local: u32) -> u32 {
  return local / 32 % (COLUMNS / 8) * 8 + local % 8;
}

// Where output n of the tile lies among the weights of a step: what one column needs, COLUMNS + 1
// apart.
fn weight_place(n: u32) -> u32 {
  let run = n / 4;
  return (run / COLUMNS * 4 + n % 4) * (COLUMNS + 1) + run % COLUMNS;
}

#if SLICES > 1
var<workgroup> partials: array<vec4<f32>, (SLICES - 1) * TEAM>;   // [SLICES - 1, TEAM]
#endif

// Takes four results of a slice; the slices are added up in their order. Calls must be in uniform
// control flow.
fn finish(row: u32, n: u32, slice: u32, local: u32, sums: vec4<f32>) {
#if SLICES > 1
  if (slice > 0) {
    partials[(slice - 1) * TEAM + local] = sums;
  }
  workgroupBarrier();
  if (slice == 0) {
    var all = sums;
    for (var i = 0u; i < SLICES - 1; i++) {
      all += partials[i * TEAM + local];
    }
    output4(row, n, all);
  }
  workgroupBarrier();
#else
  output4(row, n, sums);
#endif
}

// One token's way through the state of a kv head, [rows, blocks of four columns], by a workgroup:
//   S[r, c] ← decay[r] · kept[c] · S[r, c] + write[r] · value[c],   o_h[c] = Σ_r query_h[r] · S[r, c]
// for the GROUP query heads h of the kv head. An invocation owns a block of columns and takes every
// `slices`-th row; sums run in an order fixed by the shape. Calls are in uniform control flow, and all
// arguments that make up a Sweep but base and lane are constants, which compilers carry into the loops.
#param WORKGROUP: u32
#param GROUP: u32         // query heads of a kv head, up to 8
#param HEAD_PLACES: u32   // 4 or 8: places of query heads
#param TABLE_ROWS: u32    // rows of all sweeps of the kernel
#param AHEAD: u32         // rows of an invocation whose loads are under way together

// The state of all slots; the including file has the layout.
@group(0) @binding(1) var<storage, read_write> state: array<vec4<f32>>;

// What a row of the state meets; a sweep has its own part of the tables.
struct RowFactors {
  decay: f32,
  write: f32,
}
var<workgroup> row_factors: array<RowFactors, TABLE_ROWS>;
var<workgroup> queries: array<f32, TABLE_ROWS * HEAD_PLACES>;

// Sums of two heads; 16 KiB for four of them is more than the smallest adapters have.
var<workgroup> slice_sums: array<vec4<f32>, 2 * WORKGROUP>;

struct Sweep {
  rows: u32,
  columns: u32,   // blocks of four
  slices: u32,    // WORKGROUP / columns
  table: u32,     // its first entry in the tables
  base: u32,      // of the kv head's state, in blocks
  column: u32,    // this invocation's block
  slice: u32,     // from `slices` on: takes no part
}

// Sums of the query heads.
struct HeadSums {
#for h < HEAD_PLACES
  of$h: vec4<f32>,
#endfor
}

fn make_sweep(rows: u32, columns: u32, table: u32, base: u32, lane: u32) -> Sweep {
  return Sweep(rows, columns, WORKGROUP / columns, table, base, lane % columns, lane / columns);
}

fn takes_row(sweep: Sweep, row: u32) -> bool {
  let even = sweep.rows % (AHEAD * sweep.slices) == 0 && WORKGROUP % sweep.columns == 0;
  return even || (sweep.slice < sweep.slices && row < sweep.rows);
}

fn row_of(sweep: Sweep, i: u32) -> u32 {
  return sweep.slice + i * sweep.slices;
}

fn load_row(sweep: Sweep, i: u32) -> vec4<f32> {
  let row = row_of(sweep, i);
  if (!takes_row(sweep, row)) {
    return vec4<f32>();
  }
  return state[sweep.base + row * sweep.columns + sweep.column];
}

// AHEAD rows of this invocation.
struct Rows {
#for r < AHEAD
  row$r: vec4<f32>,
#endfor
}

// Its rows i … i + AHEAD - 1.
fn load_rows(sweep: Sweep, i: u32) -> Rows {
  var rows: Rows;
#for r < AHEAD
  rows.row$r = load_row(sweep, i + $r);
#endfor
  return rows;
}

fn advance_row(sweep: Sweep, i: u32, old: vec4<f32>, kept: vec4<f32>, value: vec4<f32>,
               sums: HeadSums) -> HeadSums {
  let row = row_of(sweep, i);
  if (!takes_row(sweep, row)) {
    return sums;
  }
  let entry = sweep.table + row;
  let factors = row_factors[entry];
  let now = factors.decay * kept * old + factors.write * value;
  state[sweep.base + row * sweep.columns + sweep.column] = now;
  let q = entry * HEAD_PLACES;
  var next = sums;
#for h < GROUP
  next.of$h += queries[q + $h] * now;
#endfor
  return next;
}

// `first` are the rows that load_rows(sweep, 0) gave.
fn advance(sweep: Sweep, first: Rows, kept: vec4<f32>, value: vec4<f32>) -> HeadSums {
  var sums = HeadSums();
  var old = first;
  for (var i = 0u; i * sweep.slices < sweep.rows; i += AHEAD) {
    var next = Rows();
    if ((i + AHEAD) * sweep.slices < sweep.rows) {
      next = load_rows(sweep, i + AHEAD);
    }
#for r < AHEAD
    sums = advance_row(sweep, i + $r, old.row$r, kept, value, sums);
#endfor
    old = next;
  }
  return sums;
}

// The sums of two heads over all slices, for the invocations of slices `head` and `head` + 1.
fn sum_pair(sweep: Sweep, lane: u32, head: u32, a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
  slice_sums[lane] = a;
  slice_sums[WORKGROUP + lane] = b;
  workgroupBarrier();
  var sum = vec4<f32>();
  if (sweep.slice / 2 == head / 2) {
    let first = sweep.slice % 2 * WORKGROUP + sweep.column;
    for (var slice = 0u; slice < sweep.slices; slice++) {
      sum += slice_sums[first + slice * sweep.columns];
    }
  }
  workgroupBarrier();
  return sum;
}

// Σ_r query_h[r] · S[r, c] of all rows: invocations of slice h < GROUP get head h.
fn sum_slices(sweep: Sweep, lane: u32, sums: HeadSums) -> vec4<f32> {
  var sum = sum_pair(sweep, lane, 0, sums.of0, sums.of1);
#if GROUP > 2
  sum += sum_pair(sweep, lane, 2, sums.of2, sums.of3);
#endif
#if GROUP > 4
  sum += sum_pair(sweep, lane, 4, sums.of4, sums.of5);
#endif
#if GROUP > 6
  sum += sum_pair(sweep, lane, 6, sums.of6, sums.of7);
#endif
  return sum;
}

// A norm in two halves, without a dispatch of its own. The product that ends a part of a layer writes its
// rows times the norm's weights, and sums of squares; the product that takes them divides its results by
// the root mean square, which is the same for a whole row.
#param INPUT_NORM: none | divide   // divide: rows of x are not yet divided by their root mean square
#param SQUARES: u32                // sums of squares of a row, one of each workgroup
#param EPS: f32

#if INPUT_NORM == divide
@group(0) @binding(9) var<storage, read> squares: array<f32>;   // [rows, SQUARES]

var<workgroup> square_partials: array<f32, TILE_ROWS * MOST_SUBGROUPS>;
#endif

// Calls must be in uniform control flow, with a barrier before `norm_factor`.
fn keep_squares(row: u32, m: u32, local: u32, subgroup_size: u32) {
#if INPUT_NORM == divide
  var sum = 0.0;
  for (var i = local; i < SQUARES; i += WORKGROUP) {
    sum += squares[row * SQUARES + i];
  }
  let partial = subgroupAdd(sum);
  if (local % subgroup_size == 0) {
    square_partials[m * MOST_SUBGROUPS + local / subgroup_size] = partial;
  }
#endif
}

// What the results of row m are multiplied by.
fn norm_factor(m: u32, subgroup_size: u32) -> f32 {
#if INPUT_NORM == divide
  var sum = 0.0;
  for (var i = 0u; i < WORKGROUP / subgroup_size; i++) {
    sum += square_partials[m * MOST_SUBGROUPS + i];
  }
  return inverseSqrt(sum / f32(K) + EPS);
#else
  return 1.0;
#endif
}

// What a workgroup for few rows does with its results, four at a time, once their sums are kept.
// f32: the epilogue of product.wgsl. gated: 32 gated values of each row become a group of integers.
// residual: 32 results of each row are added to y, and then are the next product's input as well, times
// the weights of the norm between; kernels/root_mean_square.wgsl tells how.
#param OUTPUT: f32 | gated | residual
#param NEXT: none | f32 | int8        // what `residual` writes; `gated` writes int8
#include "lanes.wgsl"
#include "root_mean_square.wgsl"
#if NEXT == int8
#include "int8.wgsl"
#endif

#if NEXT == int8
@group(0) @binding(7) var<storage, read_write> next: array<u32>;          // [rows, NEXT_GROUPS, 8]
@group(0) @binding(8) var<storage, read_write> next_scales: array<f32>;   // [rows, NEXT_GROUPS]
#elif NEXT == f32
@group(0) @binding(7) var<storage, read_write> next: array<vec4<f32>>;    // [rows, N / 4]
#endif
#if OUTPUT == residual
@group(0) @binding(10) var<storage, read> next_weight: array<vec4<f32>>;  // [N / 4]
@group(0) @binding(11) var<storage, read_write> next_squares: array<f32>; // [rows, N / 32]

var<workgroup> run_squares: array<f32, TILE_ROWS * 8>;
#endif

#if OUTPUT == gated
const NEXT_GROUPS = (N / 2 + 31) / 32;
#else
const NEXT_GROUPS = N / 32;
#endif

#if OUTPUT != f32
var<workgroup> numbers: array<f32, TILE_ROWS * 32>;

fn four_numbers(m: u32, word: u32) -> vec4<f32> {
  let at = m * 32 + word * 4;
  return vec4(numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]);
}
#endif

// `first` is the workgroup's first row, `last` the last row of all. Calls must be in uniform control flow.
fn finish_rows(workgroup: u32, first: u32, last: u32, local: u32, subgroup_size: u32) {
  workgroupBarrier();
  for (var i = local; i < TILE_ROWS * RUNS; i += WORKGROUP) {
    let m = i / RUNS;
    let run = i % RUNS;
    let sums = norm_factor(m, subgroup_size) * total(m, run, subgroup_size);
    let n = (workgroup * RUNS + run) * 4;
#if OUTPUT == f32
    output4(first + m, n, sums);
#elif OUTPUT == gated
    // Rows 2r and 2r + 1 of the weights are gate and up of number r.
    let pairs = vec2(silu(sums.x) * sums.y, silu(sums.z) * sums.w);
    numbers[m * 32 + run * 2] = select(0.0, pairs.x, n < N);
    numbers[m * 32 + run * 2 + 1] = select(0.0, pairs.y, n + 2 < N);
#else
    var value = vec4<f32>();
    if (first + m <= last) {
      let at = (first + m) * N + n;
      value = vec4(y[at], y[at + 1], y[at + 2], y[at + 3]) + sums;
      y[at] = value.x;
      y[at + 1] = value.y;
      y[at + 2] = value.z;
      y[at + 3] = value.w;
    }
    run_squares[m * 8 + run] = dot(value, value);
    let weighted = value * next_weight[n / 4];
    numbers[m * 32 + run * 4] = weighted.x;
    numbers[m * 32 + run * 4 + 1] = weighted.y;
    numbers[m * 32 + run * 4 + 2] = weighted.z;
    numbers[m * 32 + run * 4 + 3] = weighted.w;
#endif
  }
#if OUTPUT != f32
  workgroupBarrier();
  // An invocation writes four numbers.
  if (local < TILE_ROWS * 8 && first + local / 8 <= last) {
    let m = local / 8;
    let word = local % 8;
    let four = four_numbers(m, word);
    let at = (first + m) * NEXT_GROUPS + workgroup;
#if NEXT == int8
    var largest = 0.0;
    for (var i = 0u; i < 8; i++) {
      largest = max(largest, largest_of(four_numbers(m, i)));
    }
    next[at * 8 + word] = to_bytes(four, inverse_scale_of(largest));
    if (word == 0) {
      next_scales[at] = scale_of(largest);
    }
#else
    next[at * 8 + word] = four;
#endif
#if OUTPUT == residual
    if (word == 0) {
      var sum = 0.0;
      for (var i = 0u; i < 8; i++) {
        sum += run_squares[m * 8 + i];
      }
      next_squares[at] = sum;
    }
#endif
  }
#endif
}

// Matrices that the invocations of a subgroup hold together; left · right + result is one operation.
#param UNIT_ROWS: u32       // of left and result
#param UNIT_OUTPUTS: u32    // columns of right and result
#param UNIT_K: u32          // columns of left, rows of right
#param INPUTS: f16 | f32    // numbers of left and right; results are f32
enable subgroups;
enable chromium_experimental_subgroup_matrix;

// Columns stand in front of rows.
alias Left = subgroup_matrix_left<Element, UNIT_K, UNIT_ROWS>;
alias Right = subgroup_matrix_right<Element, UNIT_OUTPUTS, UNIT_K>;
alias Result = subgroup_matrix_result<f32, UNIT_OUTPUTS, UNIT_ROWS>;

#if INPUTS == f16
enable f16;

alias Element = f16;

fn elements_of(numbers: vec4<f32>) -> vec4<Element> {
  return vec4<f16>(numbers);
}

fn elements_of_halves(packed: vec2<u32>) -> vec4<Element> {
  return bitcast<vec4<f16>>(packed);
}
#else
alias Element = f32;

fn elements_of(numbers: vec4<f32>) -> vec4<Element> {
  return numbers;
}
#endif

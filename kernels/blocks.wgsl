// Rows read in blocks of four numbers. Where all row lengths are multiples of four, buffers are
// bound as vec4; elsewhere a block is gathered, and past the row's end its last number repeats.

// Places of block `block` in a row of `length` numbers.
fn places(block: u32, length: u32) -> vec4<u32> {
  return min(block * 4 + vec4(0, 1, 2, 3), vec4(length - 1));
}

// One where a block's numbers lie in the row, zero past its end.
fn inside(block: u32, length: u32) -> vec4<f32> {
  return select(vec4(0.0), vec4(1.0), block * 4 + vec4(0, 1, 2, 3) < vec4(length));
}

// Lets kernels with subgroup matrices run where there are no matrix units. The text stays the same but
// for its calls: the invocations of a subgroup share out each result, and read what they multiply where
// it was loaded.
import type { WgslSource } from '../../src/gpu/wgsl.ts'

/** In place of kernels/matrix_units.wgsl. */
const units = (lanes: number) => `
#param UNIT_ROWS: u32
#param UNIT_OUTPUTS: u32
#param UNIT_K: u32
#param INPUTS: f16 | f32
enable subgroups;

const LANES = ${lanes}u;

alias Element = f32;

// Where a matrix on the left or on the right lies, and which invocation of the subgroup asks.
struct Operand { at: u32, by_column: bool, stride: u32, lane: u32, fault: f32 }
// Results lane, lane + LANES, … of a matrix, row by row.
struct Result { sums: array<f32, UNIT_ROWS * UNIT_OUTPUTS / LANES> }

#if INPUTS == f16
fn elements_of(numbers: vec4<f32>) -> vec4<f32> {
  return quantizeToF16(numbers);
}

fn elements_of_halves(packed: vec2<u32>) -> vec4<f32> {
  return vec4(unpack2x16float(packed.x), unpack2x16float(packed.y));
}
#else
fn elements_of(numbers: vec4<f32>) -> vec4<f32> {
  return numbers;
}
#endif

fn place(at: u32, row: u32, column: u32, by_column: bool, stride: u32) -> u32 {
  return at + select(row * stride + column, column * stride + row, by_column);
}

// NaN if some of the subgroup are elsewhere in the text, or name another place; else 0.
fn fault(at: u32) -> f32 {
  let is_one = subgroupAdd(1u) == LANES && subgroupAll(subgroupBroadcastFirst(at) == at);
  return select(bitcast<f32>(0x7fc00000u + min(at, 1u)), 0.0, is_one);
}

fn load(at: u32, by_column: bool, stride: u32) -> Operand {
  return Operand(at, by_column, stride, subgroupExclusiveAdd(1u), fault(at));
}

fn subgroupMatrixMultiplyAccumulate(left: Operand, right: Operand, before: Result) -> Result {
  var result = before;
  for (var i = 0u; i < UNIT_ROWS * UNIT_OUTPUTS / LANES; i++) {
    let row = (left.lane + i * LANES) / UNIT_OUTPUTS;
    let n = (left.lane + i * LANES) % UNIT_OUTPUTS;
    for (var k = 0u; k < UNIT_K; k++) {
      let a = left_operand(place(left.at, row, k, left.by_column, left.stride));
      let b = right_operand(place(right.at, k, n, right.by_column, right.stride));
      result.sums[i] += a * b + left.fault + right.fault;
    }
  }
  return result;
}
`

const operands = (left: string, right: string) => `
fn left_operand(at: u32) -> f32 { return ${left}[at]; }
fn right_operand(at: u32) -> f32 { return ${right}[at]; }
`

const store = (array: string) => `
fn store(at: u32, result: Result, by_column: bool, stride: u32) {
  let lane = subgroupExclusiveAdd(1u);
  let faults = fault(at);
  for (var i = 0u; i < UNIT_ROWS * UNIT_OUTPUTS / LANES; i++) {
    let row = (lane + i * LANES) / UNIT_OUTPUTS;
    let n = (lane + i * LANES) % UNIT_OUTPUTS;
    ${array}[place(at, row, n, by_column, stride)] = result.sums[i] + faults;
  }
}
`

/**
 * The kernel with its matrices emulated.
 * @param lanes invocations of the subgroups that it really runs in
 */
export function emulateUnits(kernel: WgslSource, lanes: number): WgslSource {
  const arrayOf = (call: string) => {
    const array = new RegExp(`${call}\\(&(\\w+),`).exec(kernel.text)?.[1]
    if (array === undefined) throw new Error(`${kernel.name} has no ${call}`)
    return array
  }
  const [left, right] = ['subgroupMatrixLoad<Left>', 'subgroupMatrixLoad<Right>'].map(arrayOf)
  const functions = operands(left, right) + store(arrayOf('subgroupMatrixStore'))
  return {
    name: `emulated ${kernel.name}`,
    text: kernel.text
      .replace('chromium.subgroup_matrix_uniformity', 'subgroup_uniformity')
      .replaceAll(/subgroupMatrixLoad<\w+>\(&\w+,/g, 'load(')
      .replaceAll(/subgroupMatrixStore\(&\w+,/g, 'store('),
    includes: { ...kernel.includes, 'matrix_units.wgsl': units(lanes) + functions },
  }
}

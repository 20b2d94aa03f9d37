// The kernels behind the ceilings: as little beside the work as possible, and results that only come
// out right if all of it was done.

/** Vectors of 16 bytes that an invocation of the copy moves. */
export const LOAD_UNROLL = 4

/** Word i of what is copied is i times this. */
export const FILL_FACTOR = 0x9e3779b1

/** Writes what is copied. */
export const FILL = `
@group(0) @binding(0) var<storage, read_write> original: array<vec4<u32>>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  for (var at = group.x * 1024 + lane; at < (group.x + 1) * 1024; at += 256) {
    original[at] = (4 * at + vec4(0, 1, 2, 3)) * ${FILL_FACTOR}u;
  }
}`

/** Consecutive invocations copy consecutive vectors; an invocation has several on their way at once. */
export const COPY = `
@group(0) @binding(0) var<storage, read> original: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> copied: array<vec4<u32>>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let at = group.x * 1024 + lane;
  let a = original[at];
  let b = original[at + 256];
  let c = original[at + 512];
  let d = original[at + 768];
  copied[at] = a;
  copied[at + 256] = b;
  copied[at + 512] = c;
  copied[at + 768] = d;
}`

/** Operations of an invocation that do not wait for each other: enough to hide their latency. */
export const CHAINS = 16

/** What a chain of the fma kernel grows by: thousands of steps stay exact in float32. */
export const SUM_STEP = 2 ** -8

/** Factors that no compiler knows, so that nothing can be left out. */
const HEAD = `
struct Factors { loops: u32, factor: u32, addend: u32 }
@group(0) @binding(0) var<storage, read> factors: Factors;`

/** x = x · factor + addend in 16 chains of float32. */
export const FMA = `${HEAD}
@group(0) @binding(1) var<storage, read_write> results: array<vec4<f32>>;
@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let factor = vec4<f32>(bitcast<f32>(factors.factor));
  let addend = vec4<f32>(bitcast<f32>(factors.addend));
  var a = vec4<f32>(f32(id.x % 64));
  var b = a + 1;
  var c = a + 2;
  var d = a + 3;
  let loops = factors.loops / 8;
  for (var i = 0u; i < loops; i++) {
    ${`a = fma(a, factor, addend);
    b = fma(b, factor, addend);
    c = fma(c, factor, addend);
    d = fma(d, factor, addend);
    `.repeat(8)}
  }
  results[id.x] = a + b + c + d;
}`

/** Bytes -3, 7, 11, -5 and a number: chains stay lively under x = dot4(x, factor) + addend. */
export const DOT_START = { factor: 0xfb0b07fd, addend: 0x01234567 }

const step = (name: string) =>
  ['x', 'y', 'z', 'w']
    .map(
      (part) => `${name}.${part} = dot4I8Packed(bitcast<u32>(${name}.${part}), factor) + addend;`,
    )
    .join('\n    ')

/** x = dot4I8Packed(x, factor) + addend in 16 chains of int32. */
export const DOT = `requires packed_4x8_integer_dot_product;
${HEAD}
@group(0) @binding(1) var<storage, read_write> results: array<vec4<i32>>;
@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let factor = factors.factor;
  let addend = bitcast<i32>(factors.addend);
  var a = vec4<i32>(i32(id.x));
  var b = a + 1;
  var c = a + 2;
  var d = a + 3;
  let loops = factors.loops / 4;
  for (var i = 0u; i < loops; i++) {
    ${['a', 'b', 'c', 'd'].map(step).join('\n    ').concat('\n    ').repeat(4)}
  }
  results[id.x] = a + b + c + d;
}`

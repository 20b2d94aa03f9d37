// Matrix units: hardware that multiplies small matrices which the invocations of a subgroup hold
// together. What an adapter has of them, and which kinds the kernels take.
import { type Pointer, ptr, toArrayBuffer } from 'bun:ffi'

/** Left [rows, k] times right [k, outputs], added to float32 results. */
export interface MatrixKind {
  rows: number
  outputs: number
  k: number
  /** Numbers of left and right. */
  inputs: 'f16' | 'f32'
}

/** A kind that was seen to work. */
export interface MatrixUnits extends MatrixKind {
  /** Invocations of the subgroups that kernels with matrices get. */
  subgroupSize: number
  /** Of the largest subgroups of the adapter: workgroups are multiples of it. */
  subgroupMaxSize: number
}

/**
 * What bun-webgpu 0.1.7 calls chromium-experimental-subgroup-matrix, the feature of matrix units: its
 * table of names is one entry out of step with the Dawn that comes with it.
 */
export const MATRIX_FEATURE = 'flexible-texture-views' as GPUFeatureName

/** Toggles without which an adapter does not show the feature; the second means Vulkan alone. */
export const MATRIX_TOGGLES: readonly string[] = ['allow_unsafe_apis', 'use_vulkan_memory_model']

/** Of WGPUSType_AdapterPropertiesSubgroupMatrixConfigs in Dawn's webgpu.h. */
const CONFIGS_STRUCT = 0x0005003b
/** Words of WGPUSubgroupMatrixConfig: types of components and results, then M, N and K. */
const CONFIG_WORDS = 5
/** Bytes of WGPUAdapterInfo, rounded up. */
const INFO_BYTES = 128
/** WGPUSubgroupMatrixComponentType. */
const COMPONENTS: Readonly<Record<number, ComponentType>> = {
  1: 'f32',
  2: 'f16',
  3: 'u32',
  4: 'i32',
}

type ComponentType = 'f32' | 'f16' | 'u32' | 'i32'

/** One kind as the adapter lists it. */
export interface MatrixConfig {
  inputs: ComponentType
  results: ComponentType
  rows: number
  outputs: number
  k: number
}

/** The parts of bun-webgpu 0.1.7's adapter that are used here. */
interface RawAdapter {
  adapterPtr: Pointer
  lib: Record<
    'wgpuAdapterGetInfo' | 'wgpuAdapterInfoFreeMembers',
    (...pointers: Pointer[]) => unknown
  >
}

/** What an adapter with the feature lists; the library itself does not ask. */
export function matrixConfigs(adapter: GPUAdapter): MatrixConfig[] {
  const { adapterPtr, lib } = adapter as unknown as RawAdapter
  // { chain: { next, sType, pad }, count, configs* } behind the adapter's info.
  const configs = new BigUint64Array([0n, BigInt(CONFIGS_STRUCT), 0n, 0n])
  const info = new BigUint64Array(INFO_BYTES / 8)
  info[0] = BigInt(ptr(configs))
  const status = lib.wgpuAdapterGetInfo(adapterPtr, ptr(info))
  if (status !== 1) return []
  lib.wgpuAdapterInfoFreeMembers(ptr(info))
  const count = Number(configs[2])
  if (count === 0) return []
  // Some hundred bytes that stay Dawn's: its function that frees them takes a structure by value.
  const bytes = toArrayBuffer(Number(configs[3]) as Pointer, 0, count * CONFIG_WORDS * 4).slice(0)
  return readConfigs(new Uint32Array(bytes))
}

/** WGPUSubgroupMatrixConfig structures; those of unknown types are left out. */
export function readConfigs(words: Uint32Array): MatrixConfig[] {
  const configs: MatrixConfig[] = []
  for (let at = 0; at < words.length; at += CONFIG_WORDS) {
    const [input, result, rows, outputs, k] = words.subarray(at, at + CONFIG_WORDS)
    const [inputs, results] = [COMPONENTS[input], COMPONENTS[result]]
    if (inputs && results) configs.push({ inputs, results, rows, outputs, k })
  }
  return configs
}

/** Rows and outputs of a subgroup's part are multiples of those of every kind that is taken. */
export const PART_SIDE = 32
/** Along k, of a tile in workgroup memory. */
export const TILE_K = { f16: 32, f32: 16 } as const
/** Results of a matrix: with tiles of these sizes they fit the memory that every workgroup has. */
const MOST_RESULTS = 256

/**
 * The kinds that kernels/matmul_matrix.wgsl can use, best first: units for float16 are the faster ones,
 * and the larger a matrix is the less is read from workgroup memory.
 * @param hasFloat16 the device knows f16 in kernels
 */
export function usableKinds(configs: readonly MatrixConfig[], hasFloat16: boolean): MatrixKind[] {
  const divides = (size: number, whole: number) => size % 4 === 0 && whole % size === 0
  const kinds: MatrixKind[] = []
  for (const { inputs, results, rows, outputs, k } of configs) {
    if (results !== 'f32' || (inputs !== 'f32' && !(inputs === 'f16' && hasFloat16))) continue
    if (!divides(rows, PART_SIDE) || !divides(outputs, PART_SIDE)) continue
    if (!divides(k, TILE_K[inputs]) || rows * outputs > MOST_RESULTS) continue
    kinds.push({ rows, outputs, k, inputs })
  }
  const size = ({ rows, outputs, k }: MatrixKind) => rows * outputs * k
  const rank = (kind: MatrixKind) => (kind.inputs === 'f16' ? 1 : 0)
  return kinds.sort((a, b) => rank(b) - rank(a) || size(b) - size(a))
}

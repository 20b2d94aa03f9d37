// Stored numbers in a block of GPU memory become rows of a weight matrix there: kernels/repack.wgsl.
// kernels/noise.wgsl makes such a block up.
import { kernels } from '../../kernels/index.ts'
import type { BufferRange } from './buffers.ts'
import { fold } from './grid.ts'
import { isQuantized, type Matrix, type MatrixType, QUANT_GROUP } from './matrix.ts'
import type { Pipeline, Pipelines } from './pipelines.ts'

/** Largest number, by size, that a matrix holds; of integers, what a float16 scale times them reaches. */
export const LARGEST: Readonly<Record<MatrixType, number>> = {
  f32: 3.4028234663852886e38,
  f16: 65504,
  int8: 127 * 65504,
  int4: 7 * 65504,
}

/** Float32 bits of the least number, by size, that a matrix does not hold; infinity has 0x7f800000. */
const LIMIT_BITS: Readonly<Record<MatrixType, number>> = {
  f32: 0x7f800000,
  // Numbers under 65520 round to 65504.
  f16: floatBits(65520),
  int8: floatBits(LARGEST.int8) + 1,
  int4: floatBits(LARGEST.int4) + 1,
}

/** What entries of `faults` hold where nothing was wrong. */
export const NO_FAULT = 0xffffffff

/** Bytes of the buffer for a dispatch's uniforms. */
export const JOB_BYTES = 32

/** Bytes behind the last element of a block that the kernels may read: the block must have them. */
export const READ_PAST_END = 16

const WORKGROUP = 64

/** Element types of stored tensors, as safetensors files name them. */
export type StoredType = 'F32' | 'F16' | 'BF16'

/** Rows of a stored tensor in a block. */
export interface RepackOptions {
  /** [rows, matrix.columns] elements without padding, from the first byte on; then READ_PAST_END. */
  block: BufferRange
  rows: number
  matrix: Matrix
  /** Row r of the block becomes row firstRow + r · rowStep of the matrix. */
  firstRow: number
  rowStep: number
  /** Position of the block's first element in its tensor. */
  firstElement: number
  /** u32 for each tensor: the least position of a number that the matrix cannot hold. */
  faults: BufferRange
  /** This tensor's entry of faults. */
  fault: number
  /** JOB_BYTES for this dispatch alone. */
  job: GPUBuffer
}

/** A block of made-up float32 numbers. */
export interface NoiseOptions {
  block: BufferRange
  count: number
  /** Position of the first in its tensor. */
  firstElement: number
  seed: number
  /** What 24-bit integers are multiplied with. */
  step: number
  /** JOB_BYTES for this dispatch alone. */
  job: GPUBuffer
}

/** The kernel from one type of elements to one type of matrices. */
export function repackPipeline(
  pipelines: Pipelines,
  source: StoredType,
  type: MatrixType,
): Promise<Pipeline> {
  const LIMIT = LIMIT_BITS[type]
  return pipelines.get(kernels.repack, { SOURCE: source, TARGET: type, LIMIT, WORKGROUP })
}

/** The kernel that makes numbers up. */
export function noisePipeline(pipelines: Pipelines): Promise<Pipeline> {
  return pipelines.get(kernels.noise, { WORKGROUP })
}

/** Records the conversion of a block. */
export function encodeRepack(
  pipelines: Pipelines,
  encoder: GPUCommandEncoder,
  pipeline: Pipeline,
  options: RepackOptions,
): void {
  const { block, rows, matrix, faults, job } = options
  const { type, scales } = matrix
  const units = matrix.stride / (isQuantized(type) ? QUANT_GROUP : 8)
  const { firstRow, rowStep, firstElement, fault } = options
  const fields = [rows, matrix.columns, units, firstRow, rowStep, firstElement, fault]
  pipelines.device.queue.writeBuffer(job, 0, Uint32Array.from(fields))
  const bindings = { job: { buffer: job }, source: block, weights: matrix.range, faults }
  dispatch(pipelines, encoder, pipeline, scales ? { ...bindings, scales } : bindings, rows * units)
}

/** Records the making of a block. */
export function encodeNoise(
  pipelines: Pipelines,
  encoder: GPUCommandEncoder,
  pipeline: Pipeline,
  { block, count, firstElement, seed, step, job }: NoiseOptions,
): void {
  const fields = Uint32Array.of(count, firstElement, seed, floatBits(step))
  pipelines.device.queue.writeBuffer(job, 0, fields)
  dispatch(pipelines, encoder, pipeline, { noise: { buffer: job }, numbers: block }, count)
}

function dispatch(
  pipelines: Pipelines,
  encoder: GPUCommandEncoder,
  pipeline: Pipeline,
  bindings: Readonly<Record<string, BufferRange>>,
  invocations: number,
): void {
  const pass = encoder.beginComputePass()
  pass.setPipeline(pipeline.handle)
  pass.setBindGroup(0, pipelines.bind(pipeline, bindings))
  pass.dispatchWorkgroups(...fold(Math.ceil(invocations / WORKGROUP)))
  pass.end()
}

function floatBits(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0]
}

// Runs the conversion of stored rows without a checkpoint.
import { alignUp } from '../../src/gpu/buffers.ts'
import { allocateMatrix, type Matrix, type MatrixType } from '../../src/gpu/matrix.ts'
import {
  encodeRepack,
  JOB_BYTES,
  NO_FAULT,
  READ_PAST_END,
  repackPipeline,
  type StoredType,
} from '../../src/gpu/repack.ts'
import type { openTestGpu } from './gpu.ts'

type TestGpu = Awaited<ReturnType<typeof openTestGpu>>

/** Elements of a tensor and where they go. */
export interface RepackPart {
  source: StoredType
  /** [rows, columns] little-endian elements. */
  bytes: Uint8Array
  rows: number
  /** 0 and 1 if left out. */
  firstRow?: number
  rowStep?: number
  firstElement?: number
  fault?: number
}

/** A matrix whose memory is full of ones and zeros, so that what is not written shows. */
export async function poisonedMatrix(
  gpu: TestGpu,
  rows: number,
  columns: number,
  type: MatrixType,
): Promise<Matrix> {
  const matrix = await allocateMatrix(gpu.buffers, 'matrix', rows, columns, type)
  for (const range of [matrix.range, matrix.scales]) {
    if (range === undefined) continue
    const poison = new Uint32Array(range.buffer.size / 4).fill(0xa5a55a5a)
    gpu.gpu.device.queue.writeBuffer(range.buffer, 0, poison)
  }
  return matrix
}

/** Writes the parts into a matrix, one submission each. Returns the first four notes of faults. */
export async function repackParts(gpu: TestGpu, matrix: Matrix, parts: readonly RepackPart[]) {
  const { buffers, pipelines } = gpu
  const { device } = gpu.gpu
  const faults = await buffers.upload('faults', new Uint32Array(4).fill(NO_FAULT))
  for (const part of parts) {
    const block = await buffers.upload('block', words(part.bytes))
    const job = await buffers.create('job', JOB_BYTES, 0x40 | 0x8)
    const encoder = device.createCommandEncoder()
    const pipeline = await repackPipeline(pipelines, part.source, matrix.type)
    encodeRepack(pipelines, encoder, pipeline, {
      ...{ firstRow: 0, rowStep: 1, firstElement: 0, fault: 0 },
      ...part,
      ...{ block: { buffer: block }, matrix, faults: { buffer: faults }, job },
    })
    device.queue.submit([encoder.finish()])
  }
  return [...new Uint32Array(await buffers.read({ buffer: faults }))]
}

/** What the memory of a matrix holds. */
export async function readMatrix({ buffers }: TestGpu, { range, scales }: Matrix) {
  return {
    words: new Uint32Array(await buffers.read(range)),
    scales: new Uint32Array(scales ? await buffers.read(scales) : new ArrayBuffer(0)),
  }
}

/** Bytes as words; what may be read behind them is poison. */
function words(bytes: Uint8Array): Uint32Array {
  const whole = new Uint8Array(alignUp(bytes.length, 4) + READ_PAST_END).fill(0xff)
  whole.set(bytes)
  return new Uint32Array(whole.buffer)
}

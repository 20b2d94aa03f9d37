// Moves tensors of a checkpoint into GPU memory, a block of rows at a time, and has them converted
// there to the layouts that the kernels read.
import { CheckpointError, invariant } from '../src/errors.ts'
import { alignUp, type BufferRange, type Buffers } from '../src/gpu/buffers.ts'
import { allocateMatrix, type Matrix, type MatrixType, matrixBytes } from '../src/gpu/matrix.ts'
import { type Pipeline, Pipelines } from '../src/gpu/pipelines.ts'
import {
  encodeNoise,
  encodeRepack,
  JOB_BYTES,
  NO_FAULT,
  noisePipeline,
  repackPipeline,
} from '../src/gpu/repack.ts'
import { BLOCK_BYTES, type Lane, Staging } from '../src/gpu/staging.ts'
import { decode, ITEM_BYTES, unusable } from '../src/loader/convert.ts'
import { noiseStep } from '../src/loader/noise.ts'
import { readVector, rowLength, type TensorSource } from '../src/loader/tensor-source.ts'

/** Tensors of matrices that one model may have. */
const MAX_SOURCES = 2 ** 14

/** Called after each block with the bytes of the checkpoint uploaded so far. */
export type LoadProgress = (bytes: number) => void

/** A run of rows of a tensor on its way into a matrix. */
interface Run {
  source: TensorSource
  first: number
  count: number
  /** The tensor's entry of the notes. */
  fault: number
}

/** What the runs of a tensor need; made while the first of them are read. */
interface Kernels {
  /** Of made-up tensors. */
  fill: Promise<Pipeline> | undefined
  repack: Promise<Pipeline>
  faults: Promise<GPUBuffer>
}

/** Where the rows of a tensor go: row r becomes row firstRow + r · rowStep of the matrix. */
interface Place {
  matrix: Matrix
  firstRow: number
  rowStep: number
}

/** Numbers that a matrix cannot hold are noted on the GPU; `finish` looks at the notes. */
export class WeightUploader {
  /** Bytes read from the checkpoint so far. */
  #bytes = 0
  /** Bytes of GPU memory in matrices and vectors made so far. */
  gpuBytes = 0
  readonly #staging: Staging
  readonly #pipelines: Pipelines
  /** Tensors that have an entry of the notes, with the type they are stored in. */
  readonly #sources: { source: TensorSource; type: MatrixType }[] = []
  #faults: Promise<GPUBuffer> | undefined

  constructor(
    readonly buffers: Buffers,
    /** Storage type of matrices, unless one is named; vectors are always float32. */
    readonly type: MatrixType,
    readonly onProgress: LoadProgress = () => {},
  ) {
    this.#staging = new Staging(buffers, JOB_BYTES)
    // Of their own: kernels that convert are of no use once a model is loaded.
    this.#pipelines = new Pipelines(buffers.device)
  }

  /** Stacks the rows of matrices with equal width: [Σ rows, columns]. */
  async stacked(
    label: string,
    sources: readonly TensorSource[],
    type: MatrixType = this.type,
  ): Promise<Matrix> {
    const rows = sources.reduce((sum, source) => sum + source.shape[0], 0)
    const matrix = await this.#allocate(label, rows, sources[0].shape[1], type)
    let firstRow = 0
    const moves: Promise<void>[] = []
    for (const source of sources) {
      moves.push(this.#move(source, { matrix, firstRow, rowStep: 1 }))
      firstRow += source.shape[0]
    }
    await allSettled(moves)
    return matrix
  }

  /** Interleaves two matrices of one shape row by row: row 2r of `a`, row 2r+1 of `b`. */
  async interleaved(label: string, a: TensorSource, b: TensorSource): Promise<Matrix> {
    const [rows, columns] = a.shape
    const matrix = await this.#allocate(label, 2 * rows, columns, this.type)
    await allSettled([
      this.#move(a, { matrix, firstRow: 0, rowStep: 2 }),
      this.#move(b, { matrix, firstRow: 1, rowStep: 2 }),
    ])
    return matrix
  }

  /** Joins small tensors end to end as float32. */
  async vector(label: string, sources: readonly TensorSource[]): Promise<BufferRange> {
    const parts: Float32Array[] = []
    for (const source of sources) {
      const part = await readVector(source)
      this.#count(part.length * ITEM_BYTES[source.dtype])
      parts.push(part)
    }
    const data = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
    let at = 0
    for (const part of parts) {
      data.set(part, at)
      at += part.length
    }
    this.gpuBytes += data.byteLength
    return { buffer: await this.buffers.upload(label, data) }
  }

  /**
   * Waits until all matrices are made and gives back the memory that it took; to be called once, last.
   * @throws CheckpointError naming the first number that is not finite or that its matrix cannot hold
   */
  async finish(): Promise<void> {
    await this.#staging.close()
    const buffer = await this.#faults
    if (buffer === undefined) return
    const size = 4 * this.#sources.length
    const faults = new Uint32Array(await this.buffers.read({ buffer, size }))
    this.buffers.destroy(buffer)
    const index = faults.findIndex((position) => position !== NO_FAULT)
    if (index === -1) return
    const { source, type } = this.#sources[index]
    const columns = rowLength(source.shape)
    const position = faults[index]
    const row = await source.readRows(Math.floor(position / columns), 1)
    throw unusable(decode(row, source.dtype)[position % columns], source, position, type)
  }

  async #allocate(label: string, rows: number, columns: number, type: MatrixType): Promise<Matrix> {
    const matrix = await allocateMatrix(this.buffers, label, rows, columns, type)
    this.gpuBytes += matrixBytes(matrix)
    return matrix
  }

  /** Moves all rows of a tensor; the commands are submitted when this resolves. */
  async #move(source: TensorSource, place: Place): Promise<void> {
    const [rows, columns] = source.shape
    const rowBytes = columns * ITEM_BYTES[source.dtype]
    const step = Math.floor(BLOCK_BYTES / rowBytes)
    if (step === 0) {
      const found = `tensor ${source.name}: rows of ${rowBytes} bytes`
      throw new CheckpointError(source.file, `${found}; at most ${BLOCK_BYTES} can be loaded`)
    }
    const { type } = place.matrix
    const fault = this.#sources.push({ source, type }) - 1
    invariant(fault < MAX_SOURCES, 'a model with too many tensors')
    const kernels: Kernels = {
      fill: source.noise && noisePipeline(this.#pipelines),
      repack: repackPipeline(this.#pipelines, source.dtype, type),
      faults: this.#makeFaults(),
    }
    const work: (Promise<unknown> | undefined)[] = Object.values(kernels)
    for (let first = 0; first < rows; first += step) {
      const run = { source, first, count: Math.min(step, rows - first), fault }
      work.push(this.#staging.use((lane) => this.#moveRun(lane, run, place, kernels)))
    }
    await allSettled(work)
  }

  async #moveRun(lane: Lane, run: Run, place: Place, kernels: Kernels): Promise<void> {
    const { source, first, count, fault } = run
    const { matrix, rowStep } = place
    const columns = source.shape[1]
    const firstElement = first * columns
    const bytes = count * columns * ITEM_BYTES[source.dtype]
    const pipelines = this.#pipelines
    const { device } = this.buffers
    const encoder = device.createCommandEncoder()
    const block = { buffer: lane.block }
    if (source.noise && kernels.fill) {
      encodeNoise(pipelines, encoder, await kernels.fill, {
        ...{ block, count: count * columns, firstElement },
        ...{ seed: source.noise.seed, step: noiseStep(source.noise), job: lane.fillJob },
      })
    } else {
      const mapped = await lane.bytes()
      await source.readRows(first, count, mapped.subarray(0, bytes))
      lane.encodeCopy(encoder, alignUp(bytes, 4))
    }
    const firstRow = place.firstRow + first * rowStep
    encodeRepack(pipelines, encoder, await kernels.repack, {
      ...{ block, rows: count, matrix, firstRow, rowStep, firstElement },
      ...{ faults: { buffer: await kernels.faults }, fault, job: lane.job },
    })
    device.queue.submit([encoder.finish()])
    this.#count(bytes)
  }

  #makeFaults(): Promise<GPUBuffer> {
    this.#faults ??= this.buffers.upload('faults', new Uint32Array(MAX_SOURCES).fill(NO_FAULT))
    return this.#faults
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    this.onProgress(this.#bytes)
  }
}

/** Waits for all, so that nothing goes on behind a failure; throws the first one then. */
async function allSettled(promises: readonly (Promise<unknown> | undefined)[]): Promise<void> {
  const results = await Promise.allSettled(promises)
  const failed = results.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
}

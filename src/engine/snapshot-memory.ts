// Where snapshots of sequence states lie: rows of GPU memory, and copies in host memory for rows
// that had to make room. Which snapshot lies where is the business of SnapshotPlaces.
import { invariant } from '../errors.ts'
import { type BufferRange, type Buffers, MAP_MODE_READ, Usage } from '../gpu/buffers.ts'
import type { Releaser } from '../gpu/release.ts'
import type { SnapshotRows } from './snapshot-places.ts'

export interface SnapshotMemoryOptions {
  /** Bytes of a sequence's state, and of the logits behind it; multiples of 4. */
  stateBytes: number
  logitsBytes: number
  /** Most GPU memory for rows; less than one row means no cache at all. */
  gpuBytes: number
  /** Most host memory for copies; less than one row means none. */
  hostBytes: number
}

/**
 * Memory for copies to the host that are under way at once, and the least number of them: a prompt
 * may move four snapshots (the one it starts from, a branch, a tail or breakpoint, and its end), and
 * many prompts may end in one step. Those that find none free are dropped instead.
 */
const STAGING_BYTES = 64 * 2 ** 20
const LEAST_STAGING = 4
const MOST_STAGING = 64

export class SnapshotMemory implements SnapshotRows {
  readonly rowBytes: number
  /** Host copies by host row; made when first used, then used again. */
  readonly #copies: Uint8Array<ArrayBuffer>[] = []

  private constructor(
    readonly device: GPUDevice,
    readonly release: Pick<Releaser, 'commands'>,
    readonly options: SnapshotMemoryOptions,
    readonly rows: number,
    readonly hostRows: number,
    readonly rowsPerBuffer: number,
    readonly blocks: readonly GPUBuffer[],
    /** Those that no copy is under way in. */
    readonly staging: GPUBuffer[],
  ) {
    this.rowBytes = options.stateBytes + options.logitsBytes
  }

  /**
   * Allocates all GPU memory at once; nothing is allocated there later.
   * @throws DeviceError if it is not there
   */
  static async create(
    buffers: Buffers,
    release: Pick<Releaser, 'commands'>,
    options: SnapshotMemoryOptions,
  ): Promise<SnapshotMemory> {
    const { stateBytes, logitsBytes, gpuBytes, hostBytes } = options
    invariant(stateBytes % 4 === 0 && logitsBytes % 4 === 0, 'snapshots are made of whole words')
    const rowBytes = stateBytes + logitsBytes
    const rowsPerBuffer = Math.floor(buffers.maxSize / rowBytes)
    const rows = rowsPerBuffer === 0 ? 0 : Math.floor(gpuBytes / rowBytes)
    const hostRows = rows === 0 ? 0 : Math.floor(hostBytes / rowBytes)
    const blocks: GPUBuffer[] = []
    for (let first = 0; first < rows; first += rowsPerBuffer) {
      const bytes = Math.min(rowsPerBuffer, rows - first) * rowBytes
      const usage = Usage.COPY_SRC | Usage.COPY_DST
      blocks.push(await buffers.create(`prefix cache ${blocks.length}`, bytes, usage))
    }
    const staging: GPUBuffer[] = []
    const affordable = Math.min(Math.floor(STAGING_BYTES / rowBytes), MOST_STAGING)
    const copies = Math.min(Math.max(affordable, LEAST_STAGING), hostRows)
    for (let i = 0; i < copies; i++) {
      const usage = Usage.MAP_READ | Usage.COPY_DST
      staging.push(await buffers.create(`prefix cache readback ${i}`, rowBytes, usage))
    }
    return new SnapshotMemory(
      buffers.device,
      release,
      options,
      rows,
      hostRows,
      rowsPerBuffer,
      blocks,
      staging,
    )
  }

  /** A whole row: [state, logits]. */
  range(row: number): Required<BufferRange> {
    invariant(row >= 0 && row < this.rows, `snapshot row ${row} of ${this.rows}`)
    return {
      buffer: this.blocks[Math.floor(row / this.rowsPerBuffer)],
      offset: (row % this.rowsPerBuffer) * this.rowBytes,
      size: this.rowBytes,
    }
  }

  /** The state in a row, as in a slot of the state pool. */
  state(row: number): Required<BufferRange> {
    return { ...this.range(row), size: this.options.stateBytes }
  }

  /** The logits in a row: [vocabSize] f32. */
  logits(row: number): Required<BufferRange> {
    const { buffer, offset } = this.range(row)
    return { buffer, offset: offset + this.options.stateBytes, size: this.options.logitsBytes }
  }

  get canSave(): boolean {
    return this.staging.length > 0
  }

  async save(row: number, hostRow: number): Promise<void> {
    invariant(hostRow < this.hostRows, `host row ${hostRow} of ${this.hostRows}`)
    const staging = this.staging.pop()
    invariant(staging, 'a snapshot saved without a free readback buffer')
    const { buffer, offset } = this.range(row)
    const encoder = this.device.createCommandEncoder()
    encoder.copyBufferToBuffer(buffer, offset, staging, 0, this.rowBytes)
    const commands = encoder.finish()
    this.device.queue.submit([commands])
    this.release.commands(commands)
    // A buffer whose mapping fails is not used again.
    await staging.mapAsync(MAP_MODE_READ)
    try {
      this.#copies[hostRow] ??= new Uint8Array(this.rowBytes)
      this.#copies[hostRow].set(new Uint8Array(staging.getMappedRange()))
    } finally {
      staging.unmap()
      this.staging.push(staging)
    }
  }

  restore(hostRow: number, row: number): void {
    const copy = this.#copies[hostRow]
    invariant(copy, `nothing was saved in host row ${hostRow}`)
    const { buffer, offset } = this.range(row)
    this.device.queue.writeBuffer(buffer, offset, copy)
  }
}

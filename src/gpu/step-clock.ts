// When steps begin and end on the GPU's own clock, for the bench: the gaps between them are time in
// which the GPU waits for the host.
import { type Buffers, Usage } from './buffers.ts'

/** Nanoseconds on the GPU's clock. */
export interface StepTime {
  begin: bigint
  end: bigint
}

/** Queries of one step: begin and end of its compute pass. */
const QUERIES = 2
/** Resolved queries start at multiples of this many bytes. */
const RESOLVE_ALIGNMENT = 256
/** GPUBufferUsage.QUERY_RESOLVE */
const QUERY_RESOLVE = 0x200

export class StepClock {
  /** Bytes that a step's times take in its readback buffer: two u64. */
  static readonly BYTES = QUERIES * 8

  private constructor(
    readonly queries: GPUQuerySet,
    readonly resolved: GPUBuffer,
    readonly onTime: (time: StepTime) => void,
  ) {}

  /** A clock for `steps` steps in flight; the device must have been opened with timestamps. */
  static async create(
    device: GPUDevice,
    buffers: Buffers,
    steps: number,
    onTime: (time: StepTime) => void,
  ): Promise<StepClock> {
    const queries = device.createQuerySet({ type: 'timestamp', count: steps * QUERIES })
    const usage = QUERY_RESOLVE | Usage.COPY_SRC
    const resolved = await buffers.create('step times', steps * RESOLVE_ALIGNMENT, usage)
    return new StepClock(queries, resolved, onTime)
  }

  /** Takes the time around the compute pass of the step at `place`. */
  passDescriptor(place: number): GPUComputePassDescriptor {
    return {
      timestampWrites: {
        querySet: this.queries,
        beginningOfPassWriteIndex: place * QUERIES,
        endOfPassWriteIndex: place * QUERIES + 1,
      },
    }
  }

  /** Copies the times behind the results of the step. */
  encode(encoder: GPUCommandEncoder, place: number, readback: GPUBuffer, offset: number): void {
    const from = place * RESOLVE_ALIGNMENT
    encoder.resolveQuerySet(this.queries, place * QUERIES, QUERIES, this.resolved, from)
    encoder.copyBufferToBuffer(this.resolved, from, readback, offset, StepClock.BYTES)
  }

  /** Hands on what came back. @param words the two u64 */
  report(words: Uint32Array): void {
    const at = (index: number) => BigInt(words[index]) | (BigInt(words[index + 1]) << 32n)
    this.onTime({ begin: at(0), end: at(2) })
  }
}

// Runs steps on the GPU: upload the work list, encode, submit, and hand over the results when they
// have come back. Steps queue up on the GPU; each reads back through its own buffer of a ring.
import type { Decoder } from '../../models/decoder.ts'
import { DeviceError, invariant } from '../errors.ts'
import { alignUp, type BufferRange, type Buffers, MAP_MODE_READ, Usage } from '../gpu/buffers.ts'
import type { Gpu } from '../gpu/device.ts'
import { RESULT_WORDS, sample } from '../gpu/ops/sample.ts'
import type { Pipelines } from '../gpu/pipelines.ts'
import { Program } from '../gpu/program.ts'
import type { SampleRow, Segment } from '../gpu/step.ts'
import { StepClock, type StepTime } from '../gpu/step-clock.ts'
import type { Tuning } from '../gpu/tuning.ts'
import { SamplingTables } from './sampling-tables.ts'

/** Steps that may be on the GPU at once. */
export const MAX_IN_FLIGHT = 3

/** One step. */
export interface StepWork {
  segments: readonly Segment[]
  samples: readonly SampleRow[]
  /** Copied in order before the step; `undefined` clears the target. */
  before?: readonly Copy[]
  /** Copied in order after it. */
  after?: readonly Copy[]
  /** Rows of logits, behind those of the segments, that `before` brings. */
  restored?: number
}

/** From one buffer to another one, with equal sizes. */
export interface Copy {
  from: Required<BufferRange> | undefined
  to: Required<BufferRange>
}

export interface RunnerOptions {
  decoder: Decoder
  buffers: Buffers
  gpu: Gpu
  pipelines: Pipelines
  tuning: Tuning
  /** Told when each step began and ended on the GPU; needs a device with timestamps. */
  onTime?: (time: StepTime) => void
}

export class Runner {
  readonly decoder: Decoder
  readonly tables: SamplingTables
  readonly #gpu: Gpu
  readonly #sampler: Program
  /** [logitRows, RESULT_WORDS] u32 */
  readonly #results: GPUBuffer
  readonly #ring: GPUBuffer[]
  readonly #clock: StepClock | undefined
  /** Whether a runner with a clock takes times, which cost the GPU a little between steps. */
  timed = true
  #submitted = 0
  #inFlight = 0
  /** Fail the steps in flight; a map that is asked for after the device is lost never settles. */
  readonly #rejects = new Set<(error: DeviceError) => void>()
  #lost: DeviceError | undefined

  private constructor(
    { decoder, gpu }: RunnerOptions,
    parts: {
      tables: SamplingTables
      sampler: Program
      results: GPUBuffer
      ring: GPUBuffer[]
      clock: StepClock | undefined
    },
  ) {
    this.decoder = decoder
    this.tables = parts.tables
    this.#gpu = gpu
    this.#sampler = parts.sampler
    this.#results = parts.results
    this.#ring = parts.ring
    this.#clock = parts.clock
    gpu.lost.then((reason) => {
      this.#lost = new DeviceError(`the GPU device was lost: ${reason}`)
      for (const reject of this.#rejects) reject(this.#lost)
    })
  }

  static async create(options: RunnerOptions): Promise<Runner> {
    const { decoder, buffers, gpu, pipelines, tuning, onTime } = options
    const { vocabSize, slots, step, logits, sampled } = decoder
    const tables = await SamplingTables.create(buffers, slots, vocabSize)
    const bytes = step.limits.logitRows * RESULT_WORDS * 4
    const results = await buffers.create('results', bytes)
    const plans = sample(tuning, {
      step: step.tables,
      logits: { buffer: logits },
      vocabSize,
      bias: { buffer: tables.bias },
      masks: { buffer: tables.masks },
      history: { buffer: tables.history },
      sampled: { buffer: sampled },
      results: { buffer: results },
      maxInvocations: gpu.device.limits.maxComputeInvocationsPerWorkgroup,
    })
    const sampler = await Program.compile(pipelines, plans)
    const clock = onTime && (await StepClock.create(gpu.device, buffers, MAX_IN_FLIGHT, onTime))
    const ring: GPUBuffer[] = []
    for (let i = 0; i < MAX_IN_FLIGHT; i++) {
      const size = alignUp(bytes, 8) + StepClock.BYTES
      ring.push(await buffers.create('readback', size, Usage.MAP_READ | Usage.COPY_DST))
    }
    return new Runner(options, { tables, sampler, results, ring, clock })
  }

  /**
   * Submits one step behind those in flight and resolves with its results,
   * [samples, RESULT_WORDS] u32 (see readResult).
   * @throws DeviceError if the device is lost, at once or later
   */
  run(work: StepWork): Promise<Uint32Array> {
    if (this.#lost) throw this.#lost
    invariant(this.#inFlight < MAX_IN_FLIGHT, `${this.#inFlight} steps are in flight already`)
    const { device, release } = this.#gpu
    const { program, step } = this.decoder
    const place = this.#submitted++ % MAX_IN_FLIGHT
    const readback = this.#ring[place]
    const clock = this.timed ? this.#clock : undefined
    const counts = step.write(device.queue, work.segments, work.samples, work.restored)
    const encoder = device.createCommandEncoder()
    for (const copy of work.before ?? []) encodeCopy(encoder, copy)
    const pass = encoder.beginComputePass(clock?.passDescriptor(place))
    program.encode(pass, counts)
    this.#sampler.encode(pass, counts)
    pass.end()
    release.pass(pass)
    for (const copy of work.after ?? []) encodeCopy(encoder, copy)
    const resultBytes = counts.samples * RESULT_WORDS * 4
    if (resultBytes > 0) encoder.copyBufferToBuffer(this.#results, 0, readback, 0, resultBytes)
    clock?.encode(encoder, place, readback, alignUp(resultBytes, 8))
    const commands = encoder.finish()
    device.queue.submit([commands])
    release.commands(commands)
    return this.#read(readback, resultBytes, clock)
  }

  async #read(
    readback: GPUBuffer,
    resultBytes: number,
    clock: StepClock | undefined,
  ): Promise<Uint32Array> {
    this.#inFlight++
    const timeBytes = clock ? StepClock.BYTES : 0
    // A step without results still maps a word, to know when it is done.
    const size = Math.max(alignUp(resultBytes, 8) + timeBytes, 8)
    try {
      await this.#mapped(readback, size)
      const words = new Uint32Array(readback.getMappedRange(0, size).slice(0))
      readback.unmap()
      clock?.report(words.subarray(alignUp(resultBytes, 8) / 4))
      return words.subarray(0, resultBytes / 4)
    } finally {
      this.#inFlight--
    }
  }

  /** Waits for the step that fills this buffer, or for the device to be lost. */
  #mapped(readback: GPUBuffer, size: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#rejects.add(reject)
    readback.mapAsync(MAP_MODE_READ, 0, size).then(() => resolve(), reject)
    return promise.finally(() => this.#rejects.delete(reject))
  }
}

function encodeCopy(encoder: GPUCommandEncoder, { from, to }: Copy): void {
  if (from === undefined) {
    encoder.clearBuffer(to.buffer, to.offset, to.size)
    return
  }
  invariant(from.size === to.size, `copy of ${from.size} bytes to ${to.size}`)
  encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, to.size)
}

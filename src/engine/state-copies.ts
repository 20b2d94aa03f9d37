// Byte ranges of what a sequence owns on the GPU, and the copies between them that admit, keep and
// fork sequences.
import type { Decoder } from '../../models/decoder.ts'
import type { Buffers } from '../gpu/buffers.ts'
import type { Copy } from './runner.ts'
import type { SnapshotMemory } from './snapshot-memory.ts'

type Range = Copy['to']

export class StateCopies {
  readonly stateBytes: number
  readonly logitsBytes: number

  private constructor(
    readonly decoder: Decoder,
    /** A state and a token id: buffers cannot be copied into themselves. */
    readonly bounce: GPUBuffer,
    readonly memory: SnapshotMemory,
  ) {
    this.stateBytes = decoder.layout.slotFloats * 4
    this.logitsBytes = decoder.vocabSize * 4
  }

  static async create(
    buffers: Buffers,
    decoder: Decoder,
    memory: SnapshotMemory,
  ): Promise<StateCopies> {
    const bytes = decoder.layout.slotFloats * 4 + 4
    return new StateCopies(decoder, await buffers.create('state on its way', bytes), memory)
  }

  /** Empties a slot for a new sequence. */
  clear(slot: number): Copy {
    return { from: undefined, to: this.#slot(slot) }
  }

  /** From a snapshot into a slot. */
  load(row: number, slot: number): Copy {
    return { from: this.memory.state(row), to: this.#slot(slot) }
  }

  /** From a snapshot into a row of the step's logits. */
  loadLogits(row: number, logitRow: number): Copy {
    return { from: this.memory.logits(row), to: this.#logits(logitRow) }
  }

  /** From a slot into a snapshot; with the logits of a row, if one is given. */
  save(slot: number, row: number, logitRow: number | undefined): Copy[] {
    const state: Copy = { from: this.#slot(slot), to: this.memory.state(row) }
    if (logitRow === undefined) return [state]
    return [state, { from: this.#logits(logitRow), to: this.memory.logits(row) }]
  }

  /** From one slot into others, which draw their next tokens themselves. */
  share(slot: number, others: readonly number[]): Copy[] {
    const state = { buffer: this.bounce, offset: 0, size: this.stateBytes }
    return [
      { from: this.#slot(slot), to: state },
      ...others.map((other) => ({ from: state, to: this.#slot(other) })),
    ]
  }

  /** From one slot into another, with the token that was drawn last and is not in the state yet. */
  fork(slot: number, other: number): Copy[] {
    const token = { buffer: this.bounce, offset: this.stateBytes, size: 4 }
    return [
      ...this.share(slot, [other]),
      { from: this.#token(slot), to: token },
      { from: token, to: this.#token(other) },
    ]
  }

  #slot(slot: number): Range {
    const { states } = this.decoder
    return { buffer: states, offset: slot * this.stateBytes, size: this.stateBytes }
  }

  #logits(row: number): Range {
    const { logits } = this.decoder
    return { buffer: logits, offset: row * this.logitsBytes, size: this.logitsBytes }
  }

  #token(slot: number): Range {
    return { buffer: this.decoder.sampled, offset: slot * 4, size: 4 }
  }
}

// What every mixer needs to plan its part of a layer.

import { invariant } from '../src/errors.ts'
import type { BufferRange, Buffers } from '../src/gpu/buffers.ts'
import { type ChunkScratch, chunkScratchSizes } from '../src/gpu/ops/chunk.ts'
import { matmul } from '../src/gpu/ops/matmul.ts'
import type { GatedAttention } from '../src/gpu/ops/recurrent.ts'
import { rotaryTable } from '../src/gpu/ops/rope.ts'
import type { Plan } from '../src/gpu/program.ts'
import type { StepLimits, StepTables } from '../src/gpu/step.ts'
import type { Tuning } from '../src/gpu/tuning.ts'
import type { StateLayout, StateName } from './state.ts'
import type { TensorSource } from './tensors.ts'
import type { WeightUploader } from './weights.ts'

/**
 * The surroundings of a layer: where its input is, where its result is added, and where weights,
 * states and scratch memory come from.
 */
export class LayerContext {
  readonly #scratch = new Map<string, GPUBuffer>()
  readonly #tables = new Map<string, GPUBuffer>()

  constructor(
    readonly tuning: Tuning,
    readonly buffers: Buffers,
    readonly weights: WeightUploader,
    readonly step: StepTables,
    readonly limits: StepLimits,
    readonly layout: StateLayout,
    /** The state pool: [slots, layout.slotFloats] f32. */
    readonly states: GPUBuffer,
    /** [tokens, D] residual stream. */
    readonly x: BufferRange,
    /** D */
    readonly hiddenSize: number,
  ) {}

  /** Scratch memory of `floats` a token; layers share it, as they run one after another. */
  perToken(name: string, floats: number): Promise<BufferRange> {
    return this.scratch(name, floats * this.limits.tokens)
  }

  async scratch(name: string, floats: number): Promise<BufferRange> {
    const key = `${name} ${floats}`
    let buffer = this.#scratch.get(key)
    if (!buffer) {
      buffer = await this.buffers.create(name, floats * 4)
      this.#scratch.set(key, buffer)
    }
    return { buffer }
  }

  /** Scratch memory of the chunked prompt form for one shape. */
  async chunkScratch(shape: GatedAttention): Promise<ChunkScratch> {
    const sizes = chunkScratchSizes(this.limits, shape)
    return {
      gates: await this.scratch('chunk gates', sizes.gates),
      gains: await this.scratch('chunk gains', sizes.gains),
      scores: await this.scratch('chunk scores', sizes.scores),
    }
  }

  /** Plans x += input · weightsᵀ; `input` is [tokens, columns of the tensor]. */
  async addToResidual(label: string, tensor: TensorSource, input: BufferRange): Promise<Plan[]> {
    return matmul(this.tuning, {
      step: this.step,
      x: input,
      weights: await this.weights.stacked(label, [tensor]),
      y: this.x,
      maxRows: this.limits.tokens,
      epilogue: 'add',
    })
  }

  /** A layer's part of the state pool, starting in slot 0. */
  state(layer: number, name: StateName): BufferRange {
    const part = this.layout.parts.find((each) => each.layer === layer && each.name === name)
    invariant(part, `layer ${layer} has no state ${name}`)
    return { buffer: this.states, offset: part.offset * 4 }
  }

  /** Rotary table [positions, headDim / 2, 2], shared by layers of one geometry. */
  async rotary(headDim: number, theta: number): Promise<BufferRange> {
    const key = `rotary ${headDim} ${theta}`
    let buffer = this.#tables.get(key)
    if (!buffer) {
      invariant(this.layout.maxLength !== undefined, 'softmax layers bound the length')
      buffer = await this.buffers.upload(key, rotaryTable(this.layout.maxLength, headDim, theta))
      this.#tables.set(key, buffer)
    }
    return { buffer }
  }
}

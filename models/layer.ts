// What every mixer needs to plan its part of a layer.

import { invariant } from '../src/errors.ts'
import { type Activations, allocateActivations, floats } from '../src/gpu/activations.ts'
import type { BufferRange, Buffers } from '../src/gpu/buffers.ts'
import { isQuantized, type Matrix, QUANT_GROUP, sensitiveType } from '../src/gpu/matrix.ts'
import { type ChunkScratch, chunkScratchSizes } from '../src/gpu/ops/chunk.ts'
import { matmul } from '../src/gpu/ops/matmul.ts'
import { type NormOptions, normFillsGroups, rmsNorm } from '../src/gpu/ops/norm.ts'
import { quantize } from '../src/gpu/ops/quantize.ts'
import type { GatedAttention } from '../src/gpu/ops/recurrent.ts'
import { rotaryTable } from '../src/gpu/ops/rope.ts'
import type { Plan } from '../src/gpu/program.ts'
import type { StepLimits, StepTables } from '../src/gpu/step.ts'
import type { Tuning } from '../src/gpu/tuning.ts'
import type { StateLayout, StateName } from './state.ts'
import type { TensorSource } from './tensors.ts'
import type { WeightUploader } from './weights.ts'

/** Rows of steps whose norms are deferred: for more, the products have not enough workgroups. */
const DEFERRED_ROWS = 2

/** What a product takes, and the dispatches that make it. */
export interface ProductInput {
  input: Activations
  plans: Plan[]
}

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

  /** Scratch memory for `dim` numbers a token that feed a product with a layer's weights. */
  activations(name: string, dim: number): Promise<Activations> {
    const allocate = (part: string, bytes: number) => this.scratch(part, bytes / 4)
    return allocateActivations(allocate, name, this.tuning.weights, this.limits.tokens, dim)
  }

  /**
   * Plans the norm of x.
   * @param deferred whether a product with `next` comes before it, which can make half of it
   */
  async normOfX(
    label: string,
    tensor: TensorSource,
    eps: number,
    deferred: boolean,
  ): Promise<ProductInput> {
    const { tuning, step, x, hiddenSize: dim } = this
    const weight = await this.weights.vector(label, [tensor])
    const y = await this.activations('normed x', dim)
    const input: Activations = { ...y }
    if (deferred && tuning.deferNorms && dim % QUANT_GROUP === 0) {
      const most = DEFERRED_ROWS
      const squares = await this.scratch('squares', (most * dim) / QUANT_GROUP)
      input.norm = { most, squares, weight, dim, eps }
    }
    return { input, plans: [rmsNorm(tuning, { step, x, y: input, weight, dim, eps })] }
  }

  /** Float rows [tokens, dim] as a product with a layer's weights takes them. */
  async productInput(name: string, x: BufferRange, dim: number): Promise<ProductInput> {
    if (!isQuantized(this.tuning.weights)) return { input: floats(x), plans: [] }
    const input = await this.activations(name, dim)
    return { input, plans: [quantize(this.tuning, { step: this.step, x, y: input, dim })] }
  }

  /** Plans a norm whose results feed a product. */
  async normInto(y: Activations, norm: Omit<NormOptions, 'step' | 'y'>): Promise<Plan[]> {
    const { tuning, step } = this
    if (y.type === 'f32' || normFillsGroups(norm)) return [rmsNorm(tuning, { ...norm, step, y })]
    const dim = norm.dim * (norm.heads ?? 1)
    const x = await this.perToken('norm', dim)
    return [
      rmsNorm(tuning, { ...norm, step, y: floats(x) }),
      quantize(tuning, { step, x, y, dim, rows: norm.rows }),
    ]
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

  /** The output matrix of a mixer, [D, columns]. */
  outputMatrix(label: string, tensor: TensorSource): Promise<Matrix> {
    return this.weights.stacked(`${label} output`, [tensor], sensitiveType(this.tuning.weights))
  }

  /**
   * Plans x += input · weightsᵀ; `input` is [tokens, columns of the matrix].
   * @param next what the next product takes; the halves of deferred norms are made on the way
   */
  addToResidual(weights: Matrix, input: Activations, next: Activations | undefined): Plan[] {
    const { tuning, step, x: y, limits } = this
    return matmul(tuning, {
      ...{ step, x: input, weights, y, next },
      maxRows: limits.tokens,
      epilogue: 'add',
    })
  }

  /** A layer's part of the state pool, starting in slot 0. */
  state(layer: number, name: StateName): BufferRange {
    return { buffer: this.states, offset: this.stateOffset(layer, name) * 4 }
  }

  /** Floats from the start of a slot to a layer's part of it. */
  stateOffset(layer: number, name: StateName): number {
    const part = this.layout.parts.find((each) => each.layer === layer && each.name === name)
    invariant(part, `layer ${layer} has no state ${name}`)
    return part.offset
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

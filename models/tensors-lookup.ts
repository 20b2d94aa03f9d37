// Takes tensors out of a checkpoint by role. Knows the alternative names of a tensor, checks
// shapes, and at the end insists that nothing is left over: a silent skip turns a model to noise.

import { CheckpointError } from '../src/errors.ts'
import type { Checkpoint } from '../src/loader/checkpoint.ts'
import type { TensorSource } from '../src/loader/tensor-source.ts'
import type { ModelConfig } from './config.ts'
import { checkShape, isAngles, missingTensor, refuseLeftOver } from './tensor-faults.ts'

const PREFIX = 'model.'

/** Tensors of computations that glaze does not do: pattern, models concerned, what it means. */
const REFUSED: readonly [RegExp, 'gla' | 'gsa' | 'both', string][] = [
  [
    /\.attn\.h_conv1d\./,
    'both',
    'one convolution in front of q, k, v and gates (share_conv_kernel) is not supported',
  ],
  [
    /\.attn\.g_proj\./,
    'gsa',
    'GSA layers with an output gate (made before September 2024) are not supported',
  ],
  [/\.attn\.[qk]_norm\./, 'both', 'normed queries and keys are not supported'],
  [/(^|\.)((attn|mlp)_)?res_(proj|norm)\b/, 'both', 'learned sums over layers are not supported'],
]

/** Keys of config.json that say whether a tensor is wanted. */
const DECIDING_KEYS: readonly [RegExp, string][] = [
  [/\.attn\.[qkv]_conv1d\./, 'use_short_conv'],
  [/\.attn\.g_proj\./, 'use_output_gate'],
  [/\.attn\.(g_norm|g_norm_swish_gate)\./, 'elementwise_affine'],
  [/\.attn\.[qkv]_proj\.bias$/, 'attn.qkv_bias'],
  [/\.attn\.feature_map\./, 'feature_map'],
]

/** Tensors by name, each to be taken once. Names are given without `model.`. */
export interface TensorLookup {
  /** True if a tensor of this name is there and has no role yet. */
  has(name: string): boolean
  /** Rows of a tensor that is still there; undefined if it is not or is a scalar. */
  rows(name: string): number | undefined
  /** The tensor under the first of `names` that exists. Throws if none does, or on its shape. */
  take(names: string | readonly string[], shape: readonly number[]): TensorSource
  /** The same for a tensor that may be absent. */
  takeOptional(
    names: string | readonly string[],
    shape: readonly number[],
  ): TensorSource | undefined
  /** Throws CheckpointError, naming the first, if any tensor was not taken. */
  finish(): void
}

/** The tensors of a checkpoint that have no role yet. */
export class StoredTensors implements TensorLookup {
  readonly #config: ModelConfig
  readonly #checkpoint: Checkpoint
  readonly #left = new Map<string, TensorSource>()

  /** Throws CheckpointError for tensors of unsupported computations. */
  constructor(config: ModelConfig, checkpoint: Checkpoint) {
    this.#config = config
    this.#checkpoint = checkpoint
    for (const [fullName, tensor] of checkpoint.tensors) {
      if (isAngles(fullName)) continue
      const name = fullName.startsWith(PREFIX) ? fullName.slice(PREFIX.length) : fullName
      const other = this.#left.get(name)
      if (other !== undefined) {
        throw new CheckpointError(tensor.file, `tensors ${other.name} and ${fullName} are the same`)
      }
      const refused = REFUSED.find(
        ([pattern, model]) =>
          (model === 'both' || model === config.modelType) && pattern.test(fullName),
      )
      if (refused) throw new CheckpointError(tensor.file, `tensor ${fullName}: ${refused[2]}`)
      this.#left.set(name, tensor)
    }
  }

  has(name: string): boolean {
    return this.#left.has(name)
  }

  rows(name: string): number | undefined {
    return this.#left.get(name)?.shape[0]
  }

  take(names: string | readonly string[], shape: readonly number[]): TensorSource {
    const tensor = this.takeOptional(names, shape)
    if (tensor !== undefined) return tensor
    throw missingTensor(this.#checkpoint.weightsFile, [names].flat().map(withPrefix), shape)
  }

  takeOptional(
    names: string | readonly string[],
    shape: readonly number[],
  ): TensorSource | undefined {
    for (const name of [names].flat()) {
      const tensor = this.#left.get(name)
      if (tensor === undefined) continue
      this.#left.delete(name)
      checkShape(tensor, shape)
      return tensor
    }
    return undefined
  }

  finish(): void {
    const { modelType, layers } = this.#config
    const verdict = `is not used by this ${modelType} model`
    refuseLeftOver(this.#left.values(), layers.length, verdict, (name) => {
      const key = DECIDING_KEYS.find(([pattern]) => pattern.test(name))?.[1]
      return key === undefined ? '' : `; ${key} in config.json decides about it`
    })
  }
}

function withPrefix(name: string): string {
  return name.startsWith('lm_head.') ? name : PREFIX + name
}

// What stands between a layer's fused projection and its mixer: feature maps, log gates, write
// strengths.
import { kernels } from '../../../kernels/index.ts'
import { invariant } from '../../errors.ts'
import type { BufferRange } from '../buffers.ts'
import type { Plan } from '../program.ts'
import type { StepTables } from '../step.ts'
import type { Tuning } from '../tuning.ts'
import { ELEMENTWISE, perToken } from './elementwise.ts'
import type { RowSet } from './rows.ts'

/** Functions that a GLA layer may apply to q and k. */
export type GlaFeatureMap =
  | 'identity'
  | 'relu'
  | 'swish'
  | 'sigmoid'
  | 'sqrelu'
  | 'gelu'
  | 'logsigmoid'

/** Functions that a GSA layer may apply to q and k; t2r is relu(W x), one W for all heads. */
export type GsaFeatureMap = 'swish' | 'relu' | 't2r'

interface PrepareOptions {
  step: StepTables
  /** [tokens, stride] f32: q | k | v | gate inputs | anything. */
  p: BufferRange
  stride: number
  /** [tokens, (heads + kvHeads) · keyDim + kvHeads · valueDim] f32, read for q | k | v if given. */
  qkv?: BufferRange
  /** Output [tokens, heads, keyDim] f32. */
  q: BufferRange
  /** Output [tokens, kvHeads, keyDim] f32. */
  k: BufferRange
  /** Output [tokens, kvHeads, valueDim] f32. */
  v: BufferRange
  heads: number
  kvHeads: number
  keyDim: number
  valueDim: number
  /** Divides the log gates. */
  gateNormalizer: number
  /** Tokens whose rows are made; all if undefined. */
  rows?: RowSet
}

export interface PrepareGlaOptions extends PrepareOptions {
  /** Output [tokens, kvHeads, keyDim] f32: log gates, never above 0. */
  gate: BufferRange
  featureMap: GlaFeatureMap
  /** Numbers of p behind v that the gates are projected up from. */
  gateRank: number
  /** [kvHeads · keyDim, gateRank] f32 */
  gateUp: BufferRange
  /** [kvHeads · keyDim] f32 */
  gateBias: BufferRange
  /** Least log gate; undefined for none. */
  clampMin: number | undefined
}

export interface PrepareGsaOptions extends PrepareOptions {
  featureMap: GsaFeatureMap
  /** [keyDim out, keyDim in] f32; needed by the feature map t2r alone. */
  t2r?: BufferRange
  /** Slots of a kv head; p holds kvHeads · slots gate numbers behind v. */
  slots: number
  /** Output [tokens, kvHeads, slots] f32: write strengths 1 − exp(gate). */
  s: BufferRange
  /** Output [tokens, kvHeads, slots] f32: log gates, never above 0. */
  gate: BufferRange
}

/**
 * Inputs of the GLA mixer: q, k = map(q), map(k); v as it is;
 * gate = max(log σ(gateUp · z + gateBias) / gateNormalizer, clampMin).
 */
export function prepareGla(_tuning: Tuning, options: PrepareGlaOptions): Plan[] {
  const { gateUp, gateBias, gateRank, clampMin } = options
  const own = { gate: options.gate, gate_up: gateUp, gate_bias: gateBias }
  return [
    prepare(options, own, {
      MIXER: 'gla',
      FEATURE_MAP: options.featureMap,
      GATE_DIM: options.keyDim,
      GATE_RANK: gateRank,
      CLAMP: clampMin === undefined ? 'none' : 'min',
      CLAMP_MIN: clampMin ?? 0,
    }),
  ]
}

/**
 * Inputs of the GSA mixer: q, k = map(q), map(k); v = silu(v); gate = log σ(f) / gateNormalizer;
 * s = −expm1(gate).
 */
export function prepareGsa(_tuning: Tuning, options: PrepareGsaOptions): Plan[] {
  const { featureMap, t2r, s, gate } = options
  invariant((featureMap === 't2r') === (t2r !== undefined), 't2r goes with its weights')
  return [
    prepare(
      options,
      { s, gate, ...(t2r && { t2r }) },
      {
        MIXER: 'gsa',
        FEATURE_MAP: featureMap,
        GATE_DIM: options.slots,
        GATE_RANK: 0,
        CLAMP: 'none',
        CLAMP_MIN: 0,
      },
    ),
  ]
}

function prepare(options: PrepareOptions, own: Plan['bindings'], params: Plan['params']): Plan {
  const { step, p, stride, qkv, q, k, v, heads, kvHeads, keyDim, valueDim } = options
  const rows = options.rows ?? 'tokens'
  const gates = kvHeads * Number(params.GATE_DIM)
  return {
    kernel: kernels.prepare,
    params: {
      ...params,
      WORKGROUP: ELEMENTWISE,
      HEADS: heads,
      KV_HEADS: kvHeads,
      KEY_DIM: keyDim,
      VALUE_DIM: valueDim,
      STRIDE: stride,
      QKV: qkv ? 'convolved' : 'projection',
      NORMALIZER: options.gateNormalizer,
      ROWS: rows,
    },
    bindings: { counts: step.counts, p, q, k, v, ...(qkv && { qkv }), ...own },
    grid: perToken((heads + kvHeads) * keyDim + kvHeads * valueDim + gates, rows),
  }
}

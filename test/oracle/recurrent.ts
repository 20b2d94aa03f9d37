// Gated linear attention and gated slot attention in float64, token by token: the definition.
import { softmax } from './math.ts'

export interface GatedShape {
  heads: number
  kvHeads: number
  keyDim: number
  valueDim: number
  scale: number
  gateAxis: 'key' | 'value'
}

export interface GatedInputs {
  /** [tokens, heads, keyDim] */
  q: ArrayLike<number>
  /** [tokens, kvHeads, keyDim] */
  k: ArrayLike<number>
  /** [tokens, kvHeads, valueDim] */
  v: ArrayLike<number>
  /** [tokens, kvHeads, keyDim or valueDim], logarithms */
  gate: ArrayLike<number>
}

/**
 * Tokens from … to-1 of one sequence.
 * @param state [kvHeads, keyDim, valueDim], moved on in place
 * @returns o [to - from, heads, valueDim]
 */
export function gatedRecurrent(
  shape: GatedShape,
  inputs: GatedInputs,
  state: Float64Array,
  from: number,
  to: number,
): Float64Array {
  const { heads, kvHeads, keyDim, valueDim, scale, gateAxis } = shape
  const { q, k, v, gate } = inputs
  const gateDim = gateAxis === 'key' ? keyDim : valueDim
  const o = new Float64Array((to - from) * heads * valueDim)
  for (let t = from; t < to; t++) {
    for (let j = 0; j < kvHeads; j++) {
      const row = t * kvHeads + j
      const decay = Float64Array.from({ length: gateDim }, (_, i) =>
        Math.exp(gate[row * gateDim + i]),
      )
      for (let i = 0; i < keyDim; i++) {
        for (let c = 0; c < valueDim; c++) {
          const at = (j * keyDim + i) * valueDim + c
          const kept = state[at] * decay[gateAxis === 'key' ? i : c]
          state[at] = kept + k[row * keyDim + i] * v[row * valueDim + c]
        }
      }
    }
    for (let h = 0; h < heads; h++) {
      const j = Math.floor(h / (heads / kvHeads))
      for (let i = 0; i < keyDim; i++) {
        const query = scale * q[(t * heads + h) * keyDim + i]
        for (let c = 0; c < valueDim; c++) {
          o[((t - from) * heads + h) * valueDim + c] +=
            query * state[(j * keyDim + i) * valueDim + c]
        }
      }
    }
  }
  return o
}

export interface SlotShape {
  heads: number
  kvHeads: number
  keyDim: number
  slots: number
  valueDim: number
  scale: number
}

/** q, k, v as for GatedInputs; write strengths s and log gates f: [tokens, kvHeads, slots]. */
export interface SlotInputs {
  q: ArrayLike<number>
  k: ArrayLike<number>
  v: ArrayLike<number>
  s: ArrayLike<number>
  f: ArrayLike<number>
}

/**
 * Gated slot attention over tokens from … to-1 of one sequence.
 * @param keys [kvHeads, keyDim, slots], moved on in place
 * @param values [kvHeads, slots, valueDim], moved on in place
 * @returns o [to - from, heads, valueDim]
 */
export function slotRecurrent(
  shape: SlotShape,
  inputs: SlotInputs,
  keys: Float64Array,
  values: Float64Array,
  from: number,
  to: number,
): Float64Array {
  const { heads, kvHeads, keyDim, slots, valueDim, scale } = shape
  const { q, k, v, s, f } = inputs
  const o = new Float64Array((to - from) * heads * valueDim)
  for (let t = from; t < to; t++) {
    for (let j = 0; j < kvHeads; j++) {
      const row = t * kvHeads + j
      for (let m = 0; m < slots; m++) {
        const decay = Math.exp(f[row * slots + m])
        const strength = s[row * slots + m]
        for (let i = 0; i < keyDim; i++) {
          const at = (j * keyDim + i) * slots + m
          keys[at] = keys[at] * decay + k[row * keyDim + i] * strength
        }
        for (let c = 0; c < valueDim; c++) {
          const at = (j * slots + m) * valueDim + c
          values[at] = values[at] * decay + strength * v[row * valueDim + c]
        }
      }
    }
    for (let h = 0; h < heads; h++) {
      const j = Math.floor(h / (heads / kvHeads))
      const logits = new Float64Array(slots)
      for (let m = 0; m < slots; m++) {
        for (let i = 0; i < keyDim; i++) {
          logits[m] += scale * q[(t * heads + h) * keyDim + i] * keys[(j * keyDim + i) * slots + m]
        }
      }
      for (const [m, p] of softmax(logits).entries()) {
        for (let c = 0; c < valueDim; c++) {
          o[((t - from) * heads + h) * valueDim + c] += p * values[(j * slots + m) * valueDim + c]
        }
      }
    }
  }
  return o
}

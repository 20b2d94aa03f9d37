// Where everything a sequence remembers lies inside its slot: one row of floats for all layers.
import { alignUp, BINDING_ALIGNMENT } from '../src/gpu/buffers.ts'
import type { MixerConfig, ModelConfig } from './config.ts'

/**
 * `S`: GLA state [Hk, K, V]. `hk` [Hk, K, M] and `hv` [Hk, M, V]: GSA memories. `conv`: inputs of
 * the short convolutions [H·K + Hk·K + Hk·V, W-1], oldest first. `cache`: keys then values of a
 * softmax layer, each [capacity, Hka, d]; the token at position p lies in row p mod capacity.
 */
export type StateName = 'S' | 'hk' | 'hv' | 'conv' | 'cache'

export interface StatePart {
  layer: number
  name: StateName
  shape: readonly number[]
  /** Floats from the start of a slot; a multiple of the binding alignment. */
  offset: number
}

export interface StateLayout {
  parts: StatePart[]
  /** Floats from one slot to the next. */
  slotFloats: number
  /** Most tokens of a sequence, where softmax layers bound it; undefined: no bound. */
  maxLength: number | undefined
}

/** Cached tokens per sequence in a softmax layer. */
export function cacheCapacity(window: number | undefined, maxLength: number): number {
  return Math.min(window ?? maxLength, maxLength)
}

/**
 * Lays out one slot. GLA and GSA hold one state per key/value head: the query heads of a group
 * would hold equal copies.
 * @param maxLength tokens that softmax layers without a window (and their rotary tables) must hold
 */
export function stateLayout(config: ModelConfig, maxLength: number): StateLayout {
  const parts: StatePart[] = []
  const step = BINDING_ALIGNMENT / 4
  let offset = 0
  for (const [layer, mixer] of config.layers.entries()) {
    for (const [name, shape] of mixerState(mixer, maxLength)) {
      parts.push({ layer, name, shape, offset })
      offset += alignUp(
        shape.reduce((a, b) => a * b, 1),
        step,
      )
    }
  }
  const bounded = config.layers.some((mixer) => mixer.kind === 'softmax')
  return { parts, slotFloats: offset, maxLength: bounded ? maxLength : undefined }
}

function mixerState(mixer: MixerConfig, maxLength: number): [StateName, number[]][] {
  if (mixer.kind === 'softmax') {
    const capacity = cacheCapacity(mixer.window, maxLength)
    return [['cache', [2, capacity, mixer.kvHeads, mixer.headDim]]]
  }
  const { kvHeads, keyDim, valueDim } = mixer
  const parts: [StateName, number[]][] =
    mixer.kind === 'gla'
      ? [['S', [kvHeads, keyDim, valueDim]]]
      : [
          ['hk', [kvHeads, keyDim, mixer.slots]],
          ['hv', [kvHeads, mixer.slots, valueDim]],
        ]
  if (mixer.convSize > 1) parts.push(['conv', [convChannels(mixer), mixer.convSize - 1]])
  return parts
}

/** Bytes of a slot that hold keys and values of softmax layers. */
export function cacheBytes({ parts }: StateLayout): number {
  const caches = parts.filter(({ name }) => name === 'cache')
  return caches.reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0)
}

/** Channels of the stacked q, k and v projections. */
export function convChannels(mixer: {
  heads: number
  kvHeads: number
  keyDim: number
  valueDim: number
}): number {
  const { heads, kvHeads, keyDim, valueDim } = mixer
  return heads * keyDim + kvHeads * keyDim + kvHeads * valueDim
}

// Which options of a conversion go together, and what they mean for a source of so many layers.

import type { ConvertOptions } from '../config-convert.ts'
import { ConfigError } from '../errors.ts'

/** Feature maps of each linear attention; `none` is null in config.json. */
const FEATURE_MAPS = {
  gla: ['none', 'relu', 'swish', 'sigmoid', 'sqrelu', 'gelu', 'logsigmoid'],
  gsa: ['swish', 'relu', 't2r'],
}

/** The linear attention that takes the place of softmax. */
export function mixerOf({ to, mixer = 'gla' }: ConvertOptions): 'gla' | 'gsa' {
  return to === 'hybrid' ? mixer : to
}

/** Throws ConfigError for options that do not go together, whatever the source. */
export function checkOptions(options: ConvertOptions): void {
  const { to, softmaxLayers, featureMap, numSlots, gateLogitNormalizer } = options
  if (to === 'hybrid') {
    if (softmaxLayers === undefined) {
      throw new ConfigError('--to hybrid needs --softmax-layers, such as 2,5')
    }
    if (new Set(softmaxLayers).size < softmaxLayers.length) {
      throw new ConfigError(`--softmax-layers ${softmaxLayers}: expected each layer once`)
    }
  } else {
    const { mixer, window, dropRopeScaling } = options
    const ofHybrids = {
      ...{ '--mixer': mixer, '--softmax-layers': softmaxLayers, '--window': window },
      '--drop-rope-scaling': dropRopeScaling || undefined,
    }
    for (const [flag, value] of Object.entries(ofHybrids)) {
      if (value !== undefined) throw new ConfigError(`${flag} is for --to hybrid, not --to ${to}`)
    }
  }
  const kind = mixerOf(options)
  if (featureMap !== undefined && !FEATURE_MAPS[kind].includes(featureMap)) {
    const allowed = FEATURE_MAPS[kind].join(', ')
    throw new ConfigError(`--feature-map ${featureMap}: ${kind} has ${allowed}`)
  }
  if (kind === 'gla' && numSlots !== undefined) throw new ConfigError('--num-slots is for gsa')
  if (kind === 'gla' && gateLogitNormalizer !== undefined) {
    throw new ConfigError('--gate-logit-normalizer is for gsa; that of gla is always 16')
  }
  if (kind === 'gsa' && options.outputGate) throw new ConfigError('--output-gate is for gla')
  if (options.convSize !== undefined && !options.shortConv) {
    throw new ConfigError('--conv-size means something with --short-conv only')
  }
}

/** Layers that stay softmax, in order. Throws ConfigError unless some layers, and not all, do. */
export function softmaxLayersOf({ softmaxLayers = [] }: ConvertOptions, count: number): number[] {
  const layers = softmaxLayers.toSorted((a, b) => a - b)
  const last = layers.at(-1)
  if (last !== undefined && last >= count) {
    throw new ConfigError(`--softmax-layers ${last}: the source has layers 0 to ${count - 1}`)
  }
  if (layers.length === count) {
    throw new ConfigError('--softmax-layers names all layers, so that there is nothing to convert')
  }
  return layers
}

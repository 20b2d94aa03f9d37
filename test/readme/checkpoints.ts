// The table of the published checkpoints: what they are, and the memory that they take in glaze.
import { type ModelConfig, parseModelConfig } from '../../models/config.ts'
import { stateLayout } from '../../models/state.ts'
import type { MatrixType } from '../../src/gpu/matrix.ts'
import { parameterCount, placedBytes } from '../helpers/placed-bytes.ts'
import { layoutsOf, PUBLISHED } from '../helpers/published.ts'

const MiB = 2 ** 20
const GiB = 2 ** 30
/** More than the windows of the hybrids, so that it does not matter. */
const LENGTH = 32768

const HEAD = [
  ...['checkpoint', 'configuration', 'parameters', 'float16', 'int8', 'int4'],
  ...['a sequence', 'layouts tested'],
]

/** Rows of name, configuration, parameters, bytes of weights by quantization, bytes of a sequence. */
export function checkpointTable(): string {
  const rows = Object.entries(PUBLISHED).map(([name, json]) => {
    const config = parseModelConfig(json, 'config.json')
    const weights = (['f16', 'int8', 'int4'] as MatrixType[]).map((type) =>
      gibibytes(placedBytes(config, type)),
    )
    const state = stateLayout(config, LENGTH).slotFloats * 4
    const parameters = `${(parameterCount(config) / 1e9).toFixed(2)} G`
    // Those that test/models/published.test.ts compares with the float64 oracle.
    const tested = layoutsOf(json).map(({ what }) => what)
    return [name, summary(config), parameters, ...weights, `${state / MiB} MiB`, tested.join('; ')]
  })
  return [HEAD, HEAD.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')
}

/** The configuration in short. */
function summary({ hiddenSize, innerSize, layers, tiedEmbeddings }: ModelConfig): string {
  const linear = layers.find(({ kind }) => kind !== 'softmax')
  const softmax = layers.filter((layer) => layer.kind === 'softmax')
  if (linear === undefined || linear.kind === 'softmax') throw new Error('no linear layer')
  const { heads, kvHeads, keyDim, valueDim } = linear
  return [
    `${layers.length} layers of ${hiddenSize}, MLP ${innerSize}`,
    `${heads} heads over ${kvHeads} of ${keyDim} × ${valueDim}`,
    ...(linear.kind === 'gsa' ? [`${linear.slots} slots`] : []),
    ...(linear.kind === 'gla' && linear.outputGate ? ['output gate'] : []),
    ...(tiedEmbeddings ? ['tied'] : []),
    ...(softmax.length > 0
      ? [`${softmax.length} softmax layers, window ${softmax[0].window}`]
      : []),
  ].join(', ')
}

function gibibytes(bytes: number): string {
  return `${(bytes / GiB).toFixed(2)} GiB`
}

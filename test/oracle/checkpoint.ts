// A checkpoint for the float64 oracle: all weights in memory, looked up by their names in the file.
import { type ModelConfig, parseModelConfig } from '../../models/config.ts'
import { openCheckpoint } from '../../src/loader/checkpoint.ts'
import { readVector } from '../../src/loader/tensor-source.ts'

export interface OracleModel {
  config: ModelConfig
  weights: OracleWeights
}

/** Weights under a common beginning of their names, as rows one after another. */
export class OracleWeights {
  constructor(
    readonly tensors: ReadonlyMap<string, Float64Array>,
    readonly prefix = '',
  ) {}

  /** Those whose names go on with `part`. */
  at(part: string): OracleWeights {
    return new OracleWeights(this.tensors, this.prefix + part)
  }

  /** The weights under the first of `names` that there is. */
  find(...names: string[]): Float64Array | undefined {
    const name = names.find((each) => this.tensors.has(this.prefix + each))
    return name === undefined ? undefined : this.tensors.get(this.prefix + name)
  }

  /** The same, of weights that must be there. */
  get(...names: string[]): Float64Array {
    const values = this.find(...names)
    if (values === undefined) throw new Error(`no ${this.prefix}${names.join(' or ')}`)
    return values
  }
}

/** Reads a checkpoint folder whole. */
export async function readOracleModel(folder: string): Promise<OracleModel> {
  await using checkpoint = await openCheckpoint(folder)
  const tensors = new Map<string, Float64Array>()
  for (const [name, source] of checkpoint.tensors) {
    tensors.set(name, Float64Array.from(await readVector(source)))
  }
  const config = parseModelConfig(checkpoint.config, checkpoint.configFile)
  return { config, weights: new OracleWeights(tensors) }
}

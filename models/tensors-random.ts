// Tensors that need no checkpoint: whatever a model asks for is there, full of random numbers.
import { noiseTensor } from '../src/loader/noise.ts'
import type { TensorSource } from '../src/loader/tensor-source.ts'
import type { TensorLookup } from './tensors-lookup.ts'

/** Has every tensor that is needed and none that may be absent. */
export class RandomTensors implements TensorLookup {
  constructor(
    /** Named by errors. */
    readonly configFile: string,
  ) {}

  has(): boolean {
    return false
  }

  rows(): undefined {
    return undefined
  }

  take(names: string | readonly string[], shape: readonly number[]): TensorSource {
    return noiseTensor([names].flat()[0], shape, this.configFile)
  }

  takeOptional(): undefined {
    return undefined
  }

  finish(): void {}
}

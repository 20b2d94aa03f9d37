// How broken checkpoints are made: a sound one is written, then one thing is done to it.

import { type SmallOverrides, smallCheckpoint } from './checkpoints.ts'

export interface BrokenCheckpoint {
  name: string
  /** Puts the checkpoint at `folder`, which does not exist yet. */
  make(folder: string): Promise<void>
  /** File at fault, what was found, what is allowed. */
  message: RegExp
}

export const WEIGHTS = 'model.safetensors'

/** A sound checkpoint, then `damage` done to its folder. */
export function damaged(
  name: string,
  message: RegExp,
  damage: (folder: string) => Promise<unknown>,
): BrokenCheckpoint {
  return {
    name,
    message,
    async make(folder) {
      await smallCheckpoint(folder)
      await damage(folder)
    },
  }
}

/** A checkpoint written with other configuration keys or tensors. */
export function changed(
  name: string,
  message: RegExp,
  overrides: SmallOverrides,
): BrokenCheckpoint {
  return { name, message, make: (folder) => smallCheckpoint(folder, overrides) }
}

// The folder that a conversion writes to until it is whole: OUT.partial beside OUT. The process that
// writes there has it locked, so that what a killed one has left is told from what is being written,
// and removed.

import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError, errorCode } from '../errors.ts'
import { openFlock } from '../flock.ts'

export class PartialFolder implements AsyncDisposable {
  readonly #lock: FileHandle | undefined
  #isKept = false

  private constructor(
    readonly path: string,
    lock: FileHandle | undefined,
  ) {
    this.#lock = lock
  }

  /**
   * Creates `out`.partial, or empties it if nobody writes there.
   * Throws ConfigError if somebody may, and errors of the system.
   */
  static async create(out: string): Promise<PartialFolder> {
    const path = `${out}.partial`
    const isNew = await mkdir(path).then(
      () => true,
      (error) => {
        if (errorCode(error) === 'EEXIST') return false
        throw error
      },
    )
    const { isFree, lock } = await tryLock(path, isNew)
    try {
      if (!isFree) {
        throw new ConfigError(
          `${path}: another conversion writes here; if there is none, remove this folder`,
        )
      }
      if (!isNew) await empty(path)
      return new PartialFolder(path, lock)
    } catch (error) {
      await lock?.close()
      throw error
    }
  }

  /** Gives the folder its name. Nothing else may be there. */
  async keepAs(out: string): Promise<void> {
    await rename(this.path, out)
    this.#isKept = true
  }

  /** Removes the folder, unless it was kept. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isKept) await rm(this.path, { recursive: true, force: true })
    await this.#lock?.close()
  }
}

/**
 * Who made the folder may write there. Where nothing can be locked, as on some network disks, one that
 * is there already may be another's.
 */
async function tryLock(
  path: string,
  isNew: boolean,
): Promise<{ isFree: boolean; lock?: FileHandle }> {
  const flock = openFlock()
  if (flock === undefined) return { isFree: isNew }
  const lock = await open(path, constants.O_RDONLY | constants.O_DIRECTORY).catch((error) => {
    if (errorCode(error) !== 'ENOTDIR') throw error
    throw new ConfigError(`${path}: is no folder, but the one to write in has this name`)
  })
  const isLocked = flock(lock)
  return { isFree: isNew || isLocked, lock }
}

async function empty(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true })
}

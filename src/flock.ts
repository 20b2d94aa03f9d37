// flock(2), by which processes agree on who works on a file or folder. The lock goes with the process,
// however that ends.

import { dlopen, FFIType } from 'bun:ffi'
import type { FileHandle } from 'node:fs/promises'

const LIBRARIES: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'libc.so.6',
  darwin: 'libSystem.B.dylib',
}
const LOCK_EX = 2
const LOCK_NB = 4

/** Tries to lock an open file or folder until it is closed, and says whether it could. */
export type TryLock = (file: Pick<FileHandle, 'fd'>) => boolean

/** The call, undefined where there is none (Windows) or another C library (Alpine). */
export function openFlock(): TryLock | undefined {
  const library = LIBRARIES[process.platform]
  if (library === undefined) return undefined
  try {
    const { symbols } = dlopen(library, {
      flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    })
    return ({ fd }) => symbols.flock(fd, LOCK_EX | LOCK_NB) === 0
  } catch {
    return undefined
  }
}

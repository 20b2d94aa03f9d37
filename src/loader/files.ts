// Files of a checkpoint folder: is it there, is it a file, what JSON does it hold.

import { readFile, stat } from 'node:fs/promises'
import { CheckpointError, errorCode } from '../errors.ts'

/** config.json is a few kilobytes and the index of a thousand shards a few megabytes. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024

/**
 * Size of a regular file in bytes, undefined if there is nothing at `path`.
 * Throws CheckpointError for a folder, a pipe or anything else that is not a file.
 */
export async function fileSize(path: string): Promise<number | undefined> {
  try {
    const info = await stat(path)
    if (!info.isFile()) throw new CheckpointError(path, 'found something else, expected a file')
    return info.size
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw readError(path, error)
  }
}

/** True if `path` is a folder, false if nothing is there. Throws CheckpointError for a file. */
export async function folderExists(path: string): Promise<boolean> {
  try {
    const info = await stat(path)
    if (info.isDirectory()) return true
  } catch (error) {
    if (isAbsent(error)) return false
    throw readError(path, error)
  }
  throw new CheckpointError(path, 'is a file; a checkpoint is a folder with config.json in it')
}

/** The parsed content of a JSON file, undefined if the file is absent. Throws CheckpointError. */
export async function readJsonFile(path: string): Promise<unknown> {
  const text = await readTextFile(path)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new CheckpointError(path, `is not valid JSON (${(error as Error).message})`)
  }
}

/** The content of a text file, undefined if the file is absent. Throws CheckpointError. */
export async function readTextFile(path: string): Promise<string | undefined> {
  const size = await fileSize(path)
  if (size === undefined) return undefined
  if (size > MAX_TEXT_BYTES) {
    throw new CheckpointError(path, `has ${size} bytes; allowed: at most ${MAX_TEXT_BYTES}`)
  }
  return readFile(path, 'utf8').catch((error) => {
    throw readError(path, error)
  })
}

/** An error of the operating system as a CheckpointError; other errors come back as they are. */
export function readError(path: string, error: unknown): unknown {
  const code = errorCode(error)
  return code === undefined ? error : new CheckpointError(path, `cannot be read (${code})`)
}

function isAbsent(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}

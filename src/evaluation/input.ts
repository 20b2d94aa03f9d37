// The text or dataset that is measured.

import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { ConfigError, errorCode } from '../errors.ts'

export interface Input {
  /** Full path. */
  file: string
  text: string
  /** Of the file's bytes, in hexadecimal. */
  sha256: string
}

/**
 * Reads a file, or a pipe to its end.
 * @param flag names it in messages
 * Throws ConfigError if there is none, it cannot be read, or is no UTF-8.
 */
export async function readInput(path: string, flag: string): Promise<Input> {
  const file = resolve(path)
  const found = await stat(file).catch(() => undefined)
  if (found === undefined) throw new ConfigError(`${flag} ${file}: there is no such file`)
  if (found.isDirectory()) throw new ConfigError(`${flag} ${file}: is a folder`)
  let bytes: Uint8Array
  try {
    bytes = await Bun.file(file).bytes()
  } catch (error) {
    throw new ConfigError(`${flag} ${file}: cannot be read (${errorCode(error)})`)
  }
  const sha256 = new Bun.CryptoHasher('sha256').update(bytes).digest('hex')
  try {
    return { file, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), sha256 }
  } catch {
    throw new ConfigError(`${flag} ${file}: is no text in UTF-8`)
  }
}

// Where figures and samples are written: files, or stdout.

import { fstatSync, ftruncateSync, openSync, type Stats, statSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { ConfigError, errorCode } from '../errors.ts'
import { flagOf } from '../options.ts'

/** Whoever read stdout has left. */
export class StdoutClosed extends Error {}

/**
 * Writes all of a text to stdout. Unlike process.stdout it is there when this resolves, also where
 * the process ends at once.
 * Throws StdoutClosed.
 */
export async function writeStdout(text: string): Promise<void> {
  try {
    await Bun.write(Bun.stdout, text)
  } catch (error) {
    throw errorCode(error) === 'EPIPE' ? new StdoutClosed() : unwritable('stdout', error)
  }
}

/** A file or stdout as the value of an option. */
export interface Output {
  /** Whether `replace` can take back what was written before: a pipe cannot. */
  isReplaceable: boolean
  /** Makes this the whole content. A signal finds the text before or this one, no part of it. */
  replace(text: string): Promise<void>
  /** Adds to what this process wrote; the first time, all that was there before goes. */
  append(text: string): Promise<void>
}

export interface Outputs {
  json: Output | undefined
  logSamples: Output | undefined
  /** Figures for programs go to stdout, so that those for people must not. */
  takeStdout: boolean
}

export interface OutputOptions {
  /** Paths by the keys of their options, `-` being stdout. */
  json: string | undefined
  logSamples: string | undefined
  /** What is measured, which is not to be written over. */
  input: string
}

/**
 * Opens what results go to; a file that is there keeps its content until there is something new.
 * Throws ConfigError for what cannot be written, or would be written twice.
 */
export function openOutputs({ json, logSamples, input }: OutputOptions): Outputs {
  if (json === '-' && logSamples === '-') {
    throw new ConfigError('--json - and --log-samples -: stdout takes one of them')
  }
  const taken = [{ name: 'what is measured', stats: statSync(input) }]
  const open = (key: 'json' | 'logSamples', path: string | undefined): Output | undefined => {
    if (path === undefined) return undefined
    if (path === '-') return STDOUT
    const name = `${flagOf(key)} ${path}`
    const fd = openFile(name, path)
    const stats = fstatSync(fd)
    const other = taken.find((each) => isSameFile(stats, each.stats))
    if (other !== undefined) throw new ConfigError(`${name}: is ${other.name}`)
    taken.push({ name: `the file of ${name}`, stats })
    return new FileOutput(fd, name, stats.isFile())
  }
  const outputs = { json: open('json', json), logSamples: open('logSamples', logSamples) }
  const takeStdout = Object.values(outputs).some((output) => output === STDOUT)
  return { ...outputs, takeStdout }
}

const STDOUT: Output = { isReplaceable: false, replace: writeStdout, append: writeStdout }

/** Open until the process ends: a pipe that is opened twice ends for its reader in between. */
class FileOutput implements Output {
  #isOurs = false

  constructor(
    readonly fd: number,
    readonly name: string,
    readonly isReplaceable: boolean,
  ) {}

  async replace(text: string): Promise<void> {
    this.#isOurs = false
    await this.append(text)
  }

  async append(text: string): Promise<void> {
    try {
      if (!this.#isOurs && this.isReplaceable) ftruncateSync(this.fd)
      this.#isOurs = true
      writeFileSync(this.fd, text)
    } catch (error) {
      throw unwritable(this.name, error)
    }
  }
}

function openFile(name: string, path: string): number {
  try {
    return openSync(resolve(path), 'a')
  } catch (error) {
    throw unwritable(name, error)
  }
}

/** Devices such as /dev/null hold nothing that could be lost. */
function isSameFile(a: Stats, b: Stats): boolean {
  return a.isFile() && a.dev === b.dev && a.ino === b.ino
}

const REASONS: Record<string, string> = {
  ENOENT: 'there is no such folder',
  ENOTDIR: 'there is no such folder',
  EISDIR: 'is a folder',
  EACCES: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space is left',
}

function unwritable(name: string, error: unknown): unknown {
  const code = errorCode(error)
  if (code === undefined) return error
  return new ConfigError(`${name}: cannot be written (${REASONS[code] ?? code})`)
}

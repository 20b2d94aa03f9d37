// Carries a conversion out: into a folder beside the one that is wanted, which gets its name when all
// is written. Whatever goes wrong, nothing half-written stays.

import { lstat, statfs, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { ConvertOptions } from '../config-convert.ts'
import { ConfigError, errorCode, OperatorError } from '../errors.ts'
import { openCheckpoint } from '../loader/checkpoint.ts'
import { type WriteOptions, weightBytes, writeWeights } from '../loader/safetensors-writer.ts'
import { copiesOf } from './copies.ts'
import { PartialFolder } from './partial-folder.ts'
import { type ConversionPlan, planConversion } from './plan.ts'
import { RECORD_FILE, recordOf } from './record.ts'
import { blocksOf } from './weights.ts'

/** The softmax model, on this machine. */
export interface ConversionSource {
  folder: string
  /** What it is called in the record: a folder, or a repository with its commit. */
  label: string
}

/** Room for headers, configuration and what a file system needs for itself, beside the contents. */
const SPARE_BYTES = 2 ** 20
/** Of a tensor in headers and index, its name among them. */
const TENSOR_BYTES = 300

export interface ConversionHooks extends Pick<WriteOptions, 'openFile'> {
  onProgress?: (doneBytes: number, totalBytes: number) => void
  /** Ends the conversion; its reason is thrown. */
  signal?: AbortSignal
  /** Bytes that are free for a folder; asks the file system if left out. */
  freeBytes?: (folder: string) => Promise<number | undefined>
}

export interface Conversion {
  plan: ConversionPlan
  /** Bytes of weights written. */
  bytes: number
}

/**
 * Converts a model into the new folder `options.out`. Memory does not grow with the model.
 * Throws OperatorError with what the operator can do; there is no folder then.
 */
export async function convertCheckpoint(
  source: ConversionSource,
  options: ConvertOptions,
  hooks: ConversionHooks = {},
): Promise<Conversion> {
  const { signal, openFile, onProgress, freeBytes = freeBytesOf } = hooks
  const out = resolve(options.out)
  await refuseExisting(out)
  await using checkpoint = await openCheckpoint(source.folder)
  const plan = planConversion(checkpoint, options)
  const copies = await copiesOf(checkpoint.folder)
  const bytes = weightBytes(plan.tensors)
  const copiedBytes = copies.reduce((sum, copy) => sum + copy.bytes, 0)
  const needed = bytes + copiedBytes + plan.tensors.length * TENSOR_BYTES + SPARE_BYTES
  try {
    await using partial = await PartialFolder.create(out)
    await checkSpace(dirname(out), needed, freeBytes)
    for (const copy of copies) await copy.write(partial.path)
    await writeJson(join(partial.path, 'config.json'), plan.config)
    await writeJson(join(partial.path, RECORD_FILE), recordOf(plan, source.label, options))
    const tensors = plan.tensors.map((tensor) => ({
      ...tensor,
      blocks: () => blocksOf(tensor, plan, options.seed, signal),
    }))
    await writeWeights(partial.path, tensors, {
      maxShardBytes: options.maxShardSize,
      openFile,
      onProgress: (done) => onProgress?.(done, bytes),
    })
    signal?.throwIfAborted()
    await refuseExisting(out)
    await partial.keepAs(out)
    return { plan, bytes }
  } catch (error) {
    throw writeError(out, error)
  }
}

/** Throws ConfigError if there is anything under the name of the folder to make. */
export async function refuseExisting(out: string): Promise<void> {
  const found = await lstat(out).catch(() => undefined)
  if (found === undefined) return
  throw new ConfigError(`${out}: there is something of this name already; OUT is a new folder`)
}

/** Asked first, since a large model takes minutes to find out that there is no room for it. */
async function checkSpace(
  folder: string,
  needed: number,
  freeBytes: (folder: string) => Promise<number | undefined>,
): Promise<void> {
  const free = await freeBytes(folder)
  if (free === undefined || free >= needed) return
  throw new OperatorError(`${folder}: ${megabytes(needed)} are needed, ${megabytes(free)} are free`)
}

/** Undefined for file systems that do not tell. */
async function freeBytesOf(folder: string): Promise<number | undefined> {
  const { blocks, bavail, bsize } = await statfs(folder)
  return blocks === 0 ? undefined : bavail * bsize
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(path, `${JSON.stringify(value, undefined, 2)}\n`)
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota on this disk is used up',
  ENOENT: 'the folder that should hold it does not exist',
  ENOTDIR: 'what should hold it is no folder',
  EACCES: 'no permission to write here',
  EPERM: 'no permission to write here',
  EROFS: 'this file system is read-only',
}

/** An error of the system as one line; others as they are. */
function writeError(out: string, error: unknown): unknown {
  const code = errorCode(error)
  if (code === undefined) return error
  const reason = REASONS[code] ?? 'cannot be written'
  return new OperatorError(`${out}: ${reason} (${code}); nothing was kept`)
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)} MB`
}

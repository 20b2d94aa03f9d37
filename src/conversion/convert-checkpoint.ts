// Carries a conversion out: into a folder beside the one that is wanted, which gets its name when all
// is written. Whatever goes wrong, nothing half-written stays.

import { copyFile, lstat, mkdir, readdir, rename, rm, statfs, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { ConvertOptions } from '../config-convert.ts'
import { ConfigError, errorCode, OperatorError } from '../errors.ts'
import { openCheckpoint } from '../loader/checkpoint.ts'
import { type WriteOptions, weightBytes, writeWeights } from '../loader/safetensors-writer.ts'
import { type ConversionPlan, planConversion } from './plan.ts'
import { RECORD_FILE, recordOf } from './record.ts'
import { blocksOf } from './weights.ts'

/** The softmax model, on this machine. */
export interface ConversionSource {
  folder: string
  /** What it is called in the record: a folder, or a repository with its commit. */
  label: string
}

/** What is copied as it is, where it is there: tokenizer, templates, generation settings. */
const COPIED_FILES =
  /^(tokenizer\.(json|model)|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|generation_config\.json|chat_template(\.\w+)?)$/
const TEMPLATE_FOLDER = 'additional_chat_templates'

/** Room for tokenizers and headers beside the weights. */
const SPARE_BYTES = 64 * 2 ** 20

export interface ConversionHooks extends Pick<WriteOptions, 'openFile'> {
  onProgress?: (doneBytes: number, totalBytes: number) => void
  /** Ends the conversion; its reason is thrown. */
  signal?: AbortSignal
  /** Bytes that are free for a folder; asks the file system if left out. */
  freeBytes?: (folder: string) => Promise<number>
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
  const bytes = weightBytes(plan.tensors)
  const partial = join(dirname(out), `${basename(out)}.partial-${process.pid}`)
  const refused = (error: unknown) => {
    throw writeError(out, error)
  }
  await checkSpace(dirname(out), bytes, freeBytes).catch(refused)
  await mkdir(partial).catch(refused)
  try {
    await copyFiles(checkpoint.folder, partial)
    await writeJson(join(partial, 'config.json'), plan.config)
    await writeJson(join(partial, RECORD_FILE), recordOf(plan, source.label, options))
    const tensors = plan.tensors.map((tensor) => ({
      ...tensor,
      blocks: () => blocksOf(tensor, plan, options.seed, signal),
    }))
    await writeWeights(partial, tensors, {
      maxShardBytes: options.maxShardSize,
      openFile,
      onProgress: (done) => onProgress?.(done, bytes),
    })
    signal?.throwIfAborted()
    await refuseExisting(out)
    await rename(partial, out)
    return { plan, bytes }
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
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
  bytes: number,
  freeBytes: (folder: string) => Promise<number>,
): Promise<void> {
  const [needed, free] = [bytes + SPARE_BYTES, await freeBytes(folder)]
  if (free >= needed) return
  throw new OperatorError(`${folder}: ${megabytes(needed)} are needed, ${megabytes(free)} are free`)
}

async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}

async function copyFiles(source: string, target: string): Promise<void> {
  for (const name of await readdir(source)) {
    if (COPIED_FILES.test(name)) await copyFile(join(source, name), join(target, name))
    if (name !== TEMPLATE_FOLDER) continue
    await mkdir(join(target, name))
    for (const template of await readdir(join(source, name))) {
      if (!template.endsWith('.jinja')) continue
      await copyFile(join(source, name, template), join(target, name, template))
    }
  }
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
  return `${(bytes / 1e6).toFixed(0)} MB`
}

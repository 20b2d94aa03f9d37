// Brings files of a commit into the cache: several at once, each resumed, verified and shown whole or
// not at all.

import { mkdir, open, rename, rm, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { cannotWrite, type RepositoryCache, sizeOf } from './cache.ts'
import type { HubClient, RemoteFile } from './client.ts'
import { HubError, UnavailableError } from './hub-error.ts'
import { lockFile } from './lock.ts'

/** Files fetched at the same time. */
const PARALLEL = 4
/** Another process that holds the lock is thought dead if its file did not grow for so long. */
const STALE_MS = 30_000

/** Bytes of all files of a download. */
export type OnProgress = (done: number, total: number) => void

export interface Download {
  client: HubClient
  cache: RepositoryCache
  commit: string
  onProgress?: OnProgress
}

/**
 * Fetches what the cache lacks of these files of a commit and shows them in its snapshot.
 * Throws HubError; what has come of a file by then is kept for the next try.
 */
export async function downloadFiles(
  { client, cache, commit, onProgress }: Download,
  names: readonly string[],
): Promise<void> {
  const files = await inParallel(names, (name) => client.describe(cache.repository, commit, name))
  await cache.prepare(commit)
  const absent: RemoteFile[] = []
  for (const file of files) {
    if ((await sizeOf(cache.blob(file.etag))) !== file.size) absent.push(file)
  }
  await checkSpace(cache, absent)
  const total = files.reduce((sum, { size }) => sum + size, 0)
  let done = total - absent.reduce((sum, { size }) => sum + size, 0)
  const cancel = new AbortController()
  const count = (bytes: number) => {
    done += bytes
    onProgress?.(done, total)
  }
  try {
    await inParallel(absent, (file) => fetchBlob(client, cache, commit, file, count, cancel.signal))
  } catch (error) {
    cancel.abort()
    throw error
  }
  for (const { name, etag } of files) await cache.link(commit, name, etag)
}

/** Throws UnavailableError if the disk has no room for what is still to come. */
async function checkSpace(cache: RepositoryCache, files: readonly RemoteFile[]): Promise<void> {
  let needed = 0
  for (const { etag, size } of files) needed += size - ((await sizeOf(cache.incomplete(etag))) ?? 0)
  const disk = await statfs(cache.folder).catch(() => undefined)
  if (disk === undefined) return
  const free = disk.bavail * disk.bsize
  if (needed <= free) return
  const mebibytes = (bytes: number) => Math.ceil(bytes / 2 ** 20)
  throw new UnavailableError(
    `${cache.repository}: ${mebibytes(needed)} MiB are to be downloaded, the disk of ` +
      `${cache.folder} has ${mebibytes(free)} MiB free; HF_HUB_CACHE or --download-dir names another`,
  )
}

/** One file: what is there of it is read for the hash, the rest fetched. */
async function fetchBlob(
  client: HubClient,
  cache: RepositoryCache,
  commit: string,
  file: RemoteFile,
  count: (bytes: number) => void,
  cancel: AbortSignal,
): Promise<void> {
  const blob = cache.blob(file.etag)
  const path = cache.incomplete(file.etag)
  try {
    await mkdir(dirname(cache.lock(file.etag)), { recursive: true })
    await using _lock = await lockFile(cache.lock(file.etag), waitFor(blob, path, cancel))
    if ((await sizeOf(blob)) === file.size) return count(file.size)
    await using partial = await PartialFile.open(path, file)
    count(partial.length)
    await client.read(
      cache.repository,
      commit,
      file,
      () => partial.length,
      async (bytes, position) => {
        if (position === 0 && partial.length > 0) {
          count(-partial.length)
          await partial.clear()
        }
        await partial.append(bytes)
        count(bytes.length)
      },
      cancel,
    )
    const found = partial.digest()
    if (found !== undefined && found !== file.etag) {
      await rm(path, { force: true })
      throw new HubError(
        `${cache.repository}: ${file.name} came with the hash ${found}, the hub tells ${file.etag}; ` +
          'it was removed, the next start fetches it anew',
      )
    }
    await partial.sync()
    await rename(path, blob)
  } catch (error) {
    throw cannotWrite(path, error)
  }
}

/** Whether another process that fetches the same file still gets on. */
function waitFor(blob: string, incomplete: string, cancel: AbortSignal) {
  let seen: number | undefined
  let since = performance.now()
  return async () => {
    cancel.throwIfAborted()
    if ((await sizeOf(blob)) !== undefined) return false
    const size = await sizeOf(incomplete)
    if (size !== seen) since = performance.now()
    seen = size
    return performance.now() - since < STALE_MS
  }
}

/** A file that is not whole yet, and the hash of what there is. */
class PartialFile implements AsyncDisposable {
  length = 0
  #hash: Bun.CryptoHasher | undefined

  private constructor(
    readonly file: Awaited<ReturnType<typeof open>>,
    readonly expected: RemoteFile,
  ) {
    this.#hash = hasherFor(expected)
  }

  /** Goes on with what an earlier try has left, if it can be the beginning. */
  static async open(path: string, expected: RemoteFile): Promise<PartialFile> {
    const there = await sizeOf(path)
    const file = await open(path, there === undefined ? 'w+' : 'r+', 0o644)
    const partial = new PartialFile(file, expected)
    try {
      if (there !== undefined && there > expected.size) await partial.clear()
      else await partial.#readBack()
      return partial
    } catch (error) {
      await file.close()
      throw error
    }
  }

  async #readBack(): Promise<void> {
    const buffer = new Uint8Array(2 ** 20)
    for (;;) {
      const { bytesRead } = await this.file.read(buffer, 0, buffer.length, this.length)
      if (bytesRead === 0) return
      this.#hash?.update(buffer.subarray(0, bytesRead))
      this.length += bytesRead
    }
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let written = 0; written < bytes.length; ) {
      const rest = bytes.length - written
      const result = await this.file.write(bytes, written, rest, this.length + written)
      written += result.bytesWritten
    }
    this.#hash?.update(bytes)
    this.length += bytes.length
  }

  async clear(): Promise<void> {
    await this.file.truncate(0)
    this.length = 0
    this.#hash = hasherFor(this.expected)
  }

  /** Hash of all bytes so far as the hub writes it, undefined if its kind is not known. */
  digest(): string | undefined {
    return this.#hash?.digest('hex')
  }

  sync(): Promise<void> {
    return this.file.sync()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.file.close()
  }
}

/** By the length of the ETag: SHA-256 of large files, git's hash of a blob for others. */
function hasherFor({ etag, size }: RemoteFile): Bun.CryptoHasher | undefined {
  if (/^[0-9a-f]{64}$/.test(etag)) return new Bun.CryptoHasher('sha256')
  if (/^[0-9a-f]{40}$/.test(etag)) return new Bun.CryptoHasher('sha1').update(`blob ${size}\0`)
  return undefined
}

/** Results in the order of the items; the first failure is thrown when all that ran have ended. */
async function inParallel<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  const failures: unknown[] = []
  let next = 0
  const worker = async () => {
    while (next < items.length && failures.length === 0) {
      const index = next++
      try {
        results[index] = await work(items[index])
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, worker))
  if (failures.length > 0) throw failures[0]
  return results
}

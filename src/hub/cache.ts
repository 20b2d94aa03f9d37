// The cache that programs of Hugging Face share, for one repository:
//   refs/REVISION      the commit that a branch or tag last stood for
//   blobs/ETAG         contents of files, ETAG.incomplete while they come
//   snapshots/COMMIT/  the files of a commit, links to blobs

import { copyFile, mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { errorCode } from '../errors.ts'
import { HubError, UnavailableError } from './hub-error.ts'

export class RepositoryCache {
  readonly folder: string
  readonly #locks: string

  constructor(
    readonly cacheFolder: string,
    readonly repository: string,
  ) {
    const name = `models--${repository.replace('/', '--')}`
    this.folder = join(cacheFolder, name)
    this.#locks = join(cacheFolder, '.locks', name)
  }

  /** The folder of a commit, there or not. */
  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit)
  }

  blob(etag: string): string {
    return join(this.folder, 'blobs', etag)
  }

  /** What there is of a blob until it is whole. */
  incomplete(etag: string): string {
    return `${this.blob(etag)}.incomplete`
  }

  /** The file by which processes agree on who fetches a blob. */
  lock(etag: string): string {
    return join(this.#locks, `${etag}.lock`)
  }

  /** The commit that a branch or tag stood for when it was last downloaded. */
  async readRef(revision: string): Promise<string | undefined> {
    const commit = (await readOptional(this.#ref(revision)))?.trim()
    return commit !== undefined && isCommit(commit) ? commit : undefined
  }

  /** Notes what a branch or tag stands for; a commit stands for itself. */
  async writeRef(revision: string, commit: string): Promise<void> {
    if (isCommit(revision) || (await this.readRef(revision)) === commit) return
    const file = this.#ref(revision)
    await mkdir(dirname(file), { recursive: true })
    const temporary = temporaryName(file)
    await writeFile(temporary, commit)
    await rename(temporary, file)
  }

  /** Creates the folders that a download writes to. Throws UnavailableError if it cannot. */
  async prepare(commit: string): Promise<void> {
    for (const folder of [join(this.folder, 'blobs'), this.snapshot(commit), this.#locks]) {
      await mkdir(folder, { recursive: true }).catch((error) => {
        throw cannotWrite(folder, error)
      })
    }
  }

  /**
   * Shows a blob as a file of a commit: by a relative link as Python makes it, so that the cache can
   * be moved, or by a copy where links cannot be made.
   */
  async link(commit: string, name: string, etag: string, makeLink = symlink): Promise<void> {
    const file = join(this.snapshot(commit), name)
    const target = relative(dirname(file), this.blob(etag))
    const temporary = temporaryName(file)
    try {
      await mkdir(dirname(file), { recursive: true })
      await makeLink(target, temporary).catch(() => copyFile(this.blob(etag), temporary))
      await rename(temporary, file)
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {})
      throw cannotWrite(file, error)
    }
  }

  #ref(revision: string): string {
    return join(this.folder, 'refs', revision)
  }
}

/** Whether a revision is the whole name of a commit, which never changes. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision)
}

/** Size of a file in bytes, through links; undefined if there is none. */
export async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    (found) => (found.isFile() ? found.size : undefined),
    () => undefined,
  )
}

/** Content of a file, undefined if it cannot be read. */
export async function readOptional(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}

/** What to tell of an operation on the cache that failed; errors of other kinds come back as they are. */
export function cannotWrite(path: string, error: unknown): unknown {
  const code = errorCode(error)
  if (code === undefined || error instanceof HubError) return error
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new UnavailableError(
      `${path}: the disk is full (${code}); what is there of the file is kept, the next start goes on from it`,
    )
  }
  return new UnavailableError(
    `${path} cannot be written (${code}); HF_HUB_CACHE or --download-dir names another cache folder`,
  )
}

function temporaryName(file: string): string {
  return `${file}.${crypto.randomUUID().slice(0, 8)}.tmp`
}

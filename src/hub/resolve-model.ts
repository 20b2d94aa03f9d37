// From the model argument of a command to a folder with the files: as it is, out of the cache, or
// downloaded first.

import { join } from 'node:path'
import { ConfigError } from '../errors.ts'
import { INDEX } from '../weight-files.ts'
import { isCommit, RepositoryCache, readOptional, sizeOf } from './cache.ts'
import { type ClientOptions, HubClient } from './client.ts'
import { downloadFiles, type OnProgress } from './download.ts'
import { shardsOf, smallFiles, weightFiles } from './files.ts'
import { HubError, UnavailableError } from './hub-error.ts'
import { locateModel } from './model-source.ts'

export interface ResolveOptions {
  /** Branch, tag or commit of a repository; `main` by default. */
  revision?: string
  /** The weights are not needed. */
  withoutWeights?: boolean
  hub: ClientOptions
  onProgress?: OnProgress
  /** Told what an operator should know though the model can be had. */
  onWarning?: (message: string, reason: string) => void
}

export interface ResolvedModel {
  /** By which the model is served: `org/name`, or the last part of a folder. */
  name: string
  folder: string
  /** The commit of a repository. */
  commit?: string
}

/**
 * Finds the files of a model.
 *
 * A commit that is in the cache takes no request. Otherwise the hub is asked what the revision stands
 * for, and what the cache lacks is downloaded; if the hub cannot be reached, what the revision stood
 * for last is taken with a warning.
 * @throws ConfigError for a name that can be neither, HubError if a repository cannot be had
 */
export async function resolveModel(model: string, options: ResolveOptions): Promise<ResolvedModel> {
  const source = await locateModel(model)
  if (source.kind === 'folder') {
    if (options.revision === undefined) return { name: source.name, folder: source.folder }
    throw new ConfigError(
      `--revision ${options.revision}: MODEL is the folder ${source.folder}; ` +
        'only models of a hub have revisions',
    )
  }
  const { name } = source
  const revision = checkRevision(options.revision ?? 'main')
  const cache = new RepositoryCache(options.hub.cacheFolder, name)
  const found = (commit: string) => ({ name, folder: cache.snapshot(commit), commit })
  const commit = isCommit(revision) ? revision : await cache.readRef(revision)
  const isThere =
    commit !== undefined && (await isWhole(cache.snapshot(commit), options.withoutWeights))
  if (isThere && isCommit(revision)) return found(commit)
  const { offlineBy } = options.hub
  if (offlineBy !== undefined) {
    if (isThere) return found(commit)
    throw new HubError(
      `${name} (revision ${revision}) is not whole in ${options.hub.cacheFolder}, ` +
        `and ${offlineBy} forbids to download it`,
    )
  }
  try {
    return found(await download(cache, revision, options))
  } catch (error) {
    if (!(error instanceof UnavailableError) || !isThere) throw error
    options.onWarning?.(
      `${name}: serving commit ${commit}, which ${revision} stood for when it was downloaded`,
      error.message,
    )
    return found(commit)
  }
}

async function download(
  cache: RepositoryCache,
  revision: string,
  { hub, withoutWeights = false, onProgress }: ResolveOptions,
): Promise<string> {
  const client = new HubClient(hub)
  const { commit, files } = await client.revision(cache.repository, revision)
  const folder = cache.snapshot(commit)
  if (!(await hasAll(folder, smallFiles(files, withoutWeights)))) {
    await downloadFiles({ client, cache, commit }, smallFiles(files, withoutWeights))
  }
  if (!withoutWeights) {
    const weights = weightFiles(cache.repository, files, await readOptional(join(folder, INDEX)))
    if (!(await hasAll(folder, weights))) {
      await downloadFiles({ client, cache, commit, onProgress }, weights)
    }
  }
  // A cache that cannot be written to is of use all the same once its files are there.
  await cache.writeRef(revision, commit).catch(() => {})
  return commit
}

/** Whether a snapshot holds all that a server cannot do without; weights come last in a download. */
async function isWhole(folder: string, withoutWeights = false): Promise<boolean> {
  if (!(await hasAll(folder, ['config.json', 'tokenizer.json']))) return false
  if (withoutWeights) return true
  const shards = shardsOf(await readOptional(join(folder, INDEX)))
  return shards !== undefined && hasAll(folder, shards)
}

async function hasAll(folder: string, names: readonly string[]): Promise<boolean> {
  const sizes = await Promise.all(names.map((name) => sizeOf(join(folder, name))))
  return sizes.every((size) => size !== undefined)
}

/** Also the name of a file in the cache: nothing that leads out of its folder. */
function checkRevision(revision: string): string {
  if (/^\w[\w.-]*(\/\w[\w.-]*)*$/.test(revision) && revision.length <= 200) return revision
  throw new ConfigError(
    `--revision ${JSON.stringify(revision)}: expected a branch, a tag or the 40 digits of a commit`,
  )
}

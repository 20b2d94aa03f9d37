// The variables that programs of Hugging Face share: where the cache is, whom to ask, with what token.

import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { ConfigError, errorCode } from '../errors.ts'

type Environment = Record<string, string | undefined>

export interface HubSettings {
  /** URL of the hub or of a mirror, without a slash at its end. */
  endpoint: string
  token?: string
  /** Holds one folder for each repository. */
  cacheFolder: string
  /** The variable that forbids requests, if one does. */
  offlineBy?: string
  /** For a question about a repository or a file. */
  requestTimeoutMs: number
  /** Between two pieces of a file. */
  downloadTimeoutMs: number
}

/**
 * Reads the environment, and the file with the token if the environment has none.
 * @param downloadDir takes the place of the cache folder that the environment names
 * @throws ConfigError for a variable that cannot be used
 */
export async function readHubSettings(
  env: Environment,
  downloadDir?: string,
): Promise<HubSettings> {
  const home = folderOf(env.HF_HOME) ?? join(cacheHome(env), 'huggingface')
  const cacheFolder =
    downloadDir ??
    folderOf(env.HF_HUB_CACHE) ??
    folderOf(env.HUGGINGFACE_HUB_CACHE) ??
    join(home, 'hub')
  return {
    endpoint: endpointOf(env),
    token: await tokenOf(env, home),
    cacheFolder: resolve(cacheFolder),
    offlineBy: ['HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE'].find((name) => isTrue(env[name])),
    requestTimeoutMs: timeoutOf(env, 'HF_HUB_ETAG_TIMEOUT'),
    downloadTimeoutMs: timeoutOf(env, 'HF_HUB_DOWNLOAD_TIMEOUT'),
  }
}

function cacheHome(env: Environment): string {
  return folderOf(env.XDG_CACHE_HOME) ?? join(homedir(), '.cache')
}

/** Nobody expands a ~ that stands in a file of variables. */
function folderOf(given: string | undefined): string | undefined {
  return given ? given.replace(/^~(?=\/|$)/, homedir()) : undefined
}

function isTrue(given = ''): boolean {
  return ['1', 'ON', 'YES', 'TRUE'].includes(given.toUpperCase())
}

function endpointOf({ HF_ENDPOINT: given }: Environment): string {
  if (!given) return 'https://huggingface.co'
  if (!/^https?:$/.test(URL.parse(given)?.protocol ?? '')) {
    throw new ConfigError(`HF_ENDPOINT is ${JSON.stringify(given)}: expected an http or https URL`)
  }
  return given.replace(/\/+$/, '')
}

function timeoutOf(env: Environment, name: string): number {
  const given = env[name] || '10'
  if (!/^\d{1,5}$/.test(given) || Number(given) === 0) {
    throw new ConfigError(`${name} is ${JSON.stringify(given)}: expected whole seconds from 1`)
  }
  return Number(given) * 1000
}

async function tokenOf(env: Environment, home: string): Promise<string | undefined> {
  for (const name of ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN']) {
    const token = env[name]?.trim()
    if (token) return checkToken(token, name)
  }
  const file = folderOf(env.HF_TOKEN_PATH) ?? join(home, 'token')
  const token = await readFile(file, 'utf8').catch((error) => {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(error) ?? '')) return ''
    // Most models need no token: one that is not for this user must not be in their way.
    if (errorCode(error) === 'EACCES' && !env.HF_TOKEN_PATH) return ''
    throw new ConfigError(`the file with the token, ${file}, cannot be read (${errorCode(error)})`)
  })
  return token.trim() === '' ? undefined : checkToken(token.trim(), file)
}

function checkToken(token: string, source: string): string {
  if (/^[!-~]+$/.test(token)) return token
  throw new ConfigError(`${source} holds no token: expected visible ASCII characters`)
}

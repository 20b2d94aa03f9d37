// API keys: where they come from, and the check before everything but probes and the page.

import { createHash, timingSafeEqual } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import type { MiddlewareHandler } from 'hono'
import { ApiError, ConfigError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { AppEnv } from '../context.ts'
import { errorResponse } from '../errors.ts'
import { PROBE_PATHS } from '../system/probes.ts'

/** What a request header can carry and a person can see. */
const KEY = /^[!-~]+$/

/** Probes; and the page to try the model with, which is the same everywhere and asks for a key itself. */
export const OPEN_PATHS: readonly string[] = [...PROBE_PATHS, '/']

/**
 * The keys of a file: one a line, without empty lines and those that begin with #. Throws
 * ConfigError if the file cannot be read or has no keys: a server that was meant to be guarded must
 * not start open.
 */
export async function readApiKeyFile(file: string, log: Logger): Promise<string[]> {
  const lines = (await readText(file)).split('\n').map((line) => line.trim())
  const keys: string[] = []
  for (const [index, line] of lines.entries()) {
    if (line === '' || line.startsWith('#')) continue
    if (!KEY.test(line)) {
      throw new ConfigError(
        `--api-key-file ${file}: line ${index + 1} is no key; keys are visible ASCII characters`,
      )
    }
    keys.push(line)
  }
  if (keys.length === 0) throw new ConfigError(`--api-key-file ${file}: there are no keys in it`)
  const { mode } = await stat(file)
  if ((mode & 0o004) !== 0) {
    log.warn('every user of this machine can read the API keys; chmod 600 mends that', { file })
  }
  return keys
}

/**
 * Lets only open paths and requests with one of these keys pass, as `authorization: Bearer KEY` or as
 * `x-api-key`. Others get status 401 before their bodies are read, also for routes that do not exist.
 */
export function requireApiKey(keys: readonly string[]): MiddlewareHandler<AppEnv> {
  const digests = keys.map(digest)
  return async (c, next) => {
    if (OPEN_PATHS.includes(c.req.path)) return next()
    const given = [bearerToken(c.req.header('authorization')), c.req.header('x-api-key')]
    const sent = given.filter((key) => key !== undefined && key !== '') as string[]
    if (sent.some((key) => isAmong(digest(key), digests))) return next()
    const message =
      sent.length > 0
        ? 'the API key is not valid on this server'
        : 'no API key was sent; send it as "authorization: Bearer KEY" or as "x-api-key: KEY"'
    const response = errorResponse(new ApiError(401, message, { code: 'invalid_api_key' }), c)
    response.headers.set('www-authenticate', 'Bearer')
    return response
  }
}

/** Takes the same time whichever key matches, and if none does. */
function isAmong(given: Buffer, digests: readonly Buffer[]): boolean {
  let matches = 0
  for (const known of digests) matches += timingSafeEqual(known, given) ? 1 : 0
  return matches > 0
}

/** Of one length for all keys, as constant-time comparison needs it. */
function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

function bearerToken(authorization: string | undefined): string | undefined {
  return /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigError(`--api-key-file ${file} cannot be read: ${reason}`)
  }
}

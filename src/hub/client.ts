// Questions to a hub: which commit a name stands for, what a file is, and its bytes from a place on.
// Own code on fetch: the package @huggingface/hub (2.17) neither resumes nor verifies a download.

import { z } from 'zod'
import { errorCode } from '../errors.ts'
import { HubError, UnavailableError } from './hub-error.ts'
import type { HubSettings } from './settings.ts'

/** What a branch, a tag or a commit stands for. */
export interface Revision {
  commit: string
  /** Names of all files, in folders with `/`. */
  files: string[]
}

/** What is known of a file before it is fetched. */
export interface RemoteFile {
  name: string
  /** Bytes. */
  size: number
  /** Name of the content: the SHA-256 of large files, the hash of git of others. */
  etag: string
}

export interface ClientOptions extends HubSettings {
  /** Of glaze, for the User-Agent. */
  version: string
  /** Told of each failure that another try may mend. */
  onRetry?: (reason: string, waitMs: number) => void
  /** First pause before another try, doubled each time; 500 by default. */
  backoffMs?: number
}

/** Tries of one request. */
const TRIES = 5
const MAX_WAIT_MS = 60_000
const MAX_REDIRECTS = 5

const revisionSchema = z.object({
  sha: z.string().regex(/^[0-9a-f]{40}$/),
  siblings: z.array(z.object({ rfilename: z.string() })),
})

/** A request that may succeed if it is sent again. */
class Passing extends Error {
  /** Some of a file came: as good as a first try. */
  gotOn = false

  constructor(
    message: string,
    readonly waitMs?: number,
  ) {
    super(message)
  }
}

export class HubClient {
  readonly #options: ClientOptions

  constructor(options: ClientOptions) {
    this.#options = options
  }

  /** Throws HubError if there is no such thing, UnavailableError if the hub gives no answer. */
  async revision(repository: string, revision: string): Promise<Revision> {
    const path = `/api/models/${repository}/revision/${encodeURIComponent(revision)}`
    return this.#retry(path, async () => {
      const response = await this.#request(path, {}, { repository, revision })
      const parsed = revisionSchema.safeParse(await response.json().catch(() => undefined))
      if (!parsed.success) {
        throw new HubError(`${this.#url(path)} answered something else than a list of files`)
      }
      const { sha, siblings } = parsed.data
      return { commit: sha, files: siblings.map(({ rfilename }) => rfilename) }
    })
  }

  /** Size and hash of a file of a commit. Throws as `revision`. */
  async describe(repository: string, commit: string, name: string): Promise<RemoteFile> {
    const path = filePath(repository, commit, name)
    return this.#retry(path, async () => {
      // Large files are elsewhere: what the hub itself says of them is in its answer, not in that of
      // the place it points to.
      const { headers } = await this.#request(
        path,
        { method: 'HEAD' },
        { repository, revision: commit, name },
        'same-host',
      )
      const etag = (headers.get('x-linked-etag') ?? headers.get('etag'))?.match(
        /^(?:W\/)?"?([\w-]{1,128})"?$/,
      )?.[1]
      const size = headers.get('x-linked-size') ?? headers.get('content-length') ?? ''
      if (etag === undefined || !/^\d+$/.test(size)) {
        throw new HubError(`${this.#url(path)} was answered without a size and an ETag`)
      }
      return { name, etag, size: Number(size) }
    })
  }

  /**
   * Hands on the bytes of a file, beginning at `start()` (asked for each try) or, if the server knows
   * no ranges, at 0: `write` is told where each piece belongs. Throws as `revision`.
   */
  async read(
    repository: string,
    commit: string,
    file: RemoteFile,
    start: () => number,
    write: (bytes: Uint8Array, position: number) => Promise<void>,
    cancel?: AbortSignal,
  ): Promise<void> {
    const path = filePath(repository, commit, file.name)
    await this.#retry(path, async () => {
      cancel?.throwIfAborted()
      const from = start()
      const stalled = new AbortController()
      const signal = AbortSignal.any([stalled.signal, ...(cancel ? [cancel] : [])])
      const headers: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {}
      const response = await this.#request(
        path,
        { headers, signal },
        { repository, revision: commit, name: file.name },
      )
      const range = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')
      let position = response.status === 206 ? Number(range?.[1] ?? Number.NaN) : 0
      if (position !== from && position !== 0) {
        throw new HubError(`${this.#url(path)} was answered with a range that was not asked for`)
      }
      const { downloadTimeoutMs } = this.#options
      const stop = () => stalled.abort(new Passing(`nothing came for ${downloadTimeoutMs} ms`))
      let timer = setTimeout(stop, downloadTimeoutMs)
      let writing = false
      try {
        for await (const bytes of response.body ?? []) {
          clearTimeout(timer)
          if (position + bytes.length > file.size) {
            throw new HubError(
              `${file.name}: the hub sent more than the ${file.size} bytes it told`,
            )
          }
          writing = true
          await write(bytes, position)
          writing = false
          position += bytes.length
          timer = setTimeout(stop, downloadTimeoutMs)
        }
      } catch (error) {
        if (writing || cancel?.aborted || error instanceof HubError) throw error
        const failure = passing(stalled.signal.aborted ? stalled.signal.reason : error)
        failure.gotOn = position > from
        throw failure
      } finally {
        clearTimeout(timer)
      }
      if (position < file.size) {
        const failure = new Passing(`it broke off at ${position} of ${file.size} bytes`)
        failure.gotOn = position > from
        throw failure
      }
    })
  }

  /** Sends a request and follows redirects; the token goes to the hub alone. */
  async #request(
    path: string,
    init: { method?: string; headers?: Record<string, string>; signal?: AbortSignal },
    about: About,
    follow: 'any-host' | 'same-host' = 'any-host',
  ): Promise<Response> {
    const { token, requestTimeoutMs, version } = this.#options
    let url = new URL(this.#url(path))
    const { origin } = url
    for (let redirects = 0; ; redirects++) {
      const late = new AbortController()
      const timer = setTimeout(
        () => late.abort(new Passing(`no answer for ${requestTimeoutMs} ms`)),
        requestTimeoutMs,
      )
      let response: Response
      try {
        response = await fetch(url.href, {
          ...init,
          redirect: 'manual',
          signal: AbortSignal.any([late.signal, ...(init.signal ? [init.signal] : [])]),
          headers: {
            ...init.headers,
            'user-agent': `glaze/${version}`,
            // The size told is that of the file.
            'accept-encoding': 'identity',
            ...(token && url.origin === origin && { authorization: `Bearer ${token}` }),
          },
        })
      } catch (error) {
        init.signal?.throwIfAborted()
        throw passing(late.signal.aborted ? late.signal.reason : error)
      } finally {
        clearTimeout(timer)
      }
      const location = response.headers.get('location')
      if (response.status < 300 || response.status >= 400 || location === null) {
        if (response.ok) return response
        throw this.#refusal(response, about, url)
      }
      const target = URL.parse(location, url.href)
      if (target === null || !/^https?:$/.test(target.protocol) || redirects === MAX_REDIRECTS) {
        throw new HubError(`${url} points to ${JSON.stringify(location)}, which cannot be followed`)
      }
      if (follow === 'same-host' && target.origin !== origin) return response
      await response.body?.cancel()
      url = target
    }
  }

  /** What an answer other than 2xx means to whoever asked. */
  #refusal(response: Response, { repository, revision, name }: About, url: URL): Error {
    const { status, headers } = response
    response.body?.cancel().catch(() => {})
    const { endpoint, token } = this.#options
    const from = new URL(endpoint).host
    const code = headers.get('x-error-code') ?? ''
    if (status === 429 || status >= 500) {
      const seconds = Number(headers.get('retry-after') ?? Number.NaN)
      const waitMs = Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined
      return new Passing(`${url.host} answered ${status}`, waitMs)
    }
    if (status === 404 && code === 'RevisionNotFound') {
      return new HubError(`${repository} has no revision ${JSON.stringify(revision)} on ${from}`)
    }
    if (status === 404 && name !== undefined) {
      return new HubError(`${repository} has no file ${name} at revision ${revision} on ${from}`)
    }
    if (code === 'GatedRepo' || status === 403) {
      const who = token ? 'the user of this token' : 'you, then set HF_TOKEN'
      return new HubError(
        `${repository} is gated (${status}): its conditions must be accepted at ` +
          `${endpoint}/${repository} by ${who}`,
      )
    }
    if (status === 401 || status === 404) {
      const hint = token
        ? 'there is no such model, or the token may not read it'
        : 'there is no such model, or it is private and HF_TOKEN is not set'
      return new HubError(`${from} does not show ${repository} (${status}): ${hint}`)
    }
    return new HubError(`${url} was answered with ${status}`)
  }

  async #retry<T>(path: string, attempt: () => Promise<T>): Promise<T> {
    const { backoffMs = 500, onRetry } = this.#options
    for (let tries = 1; ; tries++) {
      try {
        return await attempt()
      } catch (error) {
        if (!(error instanceof Passing)) throw error
        if (error.gotOn) tries = 1
        const waitMs = error.waitMs ?? backoffMs * 2 ** (tries - 1)
        if (tries === TRIES || waitMs > MAX_WAIT_MS) {
          const wish = waitMs > MAX_WAIT_MS ? `, asking to wait ${Math.ceil(waitMs / 1000)} s` : ''
          const count = tries === 1 ? '' : ` (${tries} tries)`
          throw new UnavailableError(`${this.#url(path)}: ${error.message}${wish}${count}`)
        }
        onRetry?.(error.message, waitMs)
        await Bun.sleep(waitMs)
      }
    }
  }

  #url(path: string): string {
    return this.#options.endpoint + path
  }
}

/** What a request asked for, for errors. */
interface About {
  repository: string
  revision: string
  name?: string
}

function filePath(repository: string, commit: string, name: string): string {
  return `/${repository}/resolve/${commit}/${encodeURIComponent(name)}`
}

/** Why a connection failed. */
function passing(error: unknown): Passing {
  if (error instanceof Passing) return error
  return new Passing(errorCode(error) ?? (error instanceof Error ? error.message : String(error)))
}

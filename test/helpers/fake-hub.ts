// A local server that answers as the Hugging Face Hub does, and breaks off, lies or refuses on demand.
// Large files are on another host (here: another port), as the hub has them on a CDN.

import { createHash } from 'node:crypto'

const REPOSITORY = 'tales/tiny'
export const COMMIT = 'c0ffee'.padEnd(40, '0')
const OLDER = 'beef'.padEnd(40, '0')

export interface Seen {
  method: string
  path: string
  /** The host that was asked: the hub or where it keeps large files. */
  from: 'hub' | 'cdn'
  range?: string
  authorization?: string
}

/** Answers a request in place of the hub, if it likes. */
type Interference = (seen: Seen) => Response | undefined

/** SHA-256 of large files, git's hash of a blob for others: what the hub calls an ETag. */
export function etagOf(name: string, content: Uint8Array): string {
  if (isLarge(name)) return createHash('sha256').update(content).digest('hex')
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex')
}

const isLarge = (name: string) => /\.(safetensors|bin)$/.test(name)

export class FakeHub implements Disposable {
  readonly seen: Seen[] = []
  files: Record<string, Uint8Array<ArrayBuffer>>
  /** The commit that `main` stands for. */
  head = COMMIT
  /** The only token that may read; undefined: all may. */
  token: string | undefined
  interfere: Interference = () => undefined
  readonly #hub: Bun.Server<undefined>
  readonly #cdn: Bun.Server<undefined>
  /** Says what is in `#torn` to whoever connects. */
  readonly #raw: Bun.TCPSocketListener
  #torn: Uint8Array = new Uint8Array()
  readonly #open: Bun.Socket[] = []

  constructor(
    files: Record<string, Uint8Array<ArrayBuffer> | string>,
    readonly repository = REPOSITORY,
  ) {
    const bytes = (content: Uint8Array<ArrayBuffer> | string) =>
      typeof content === 'string' ? new TextEncoder().encode(content) : content
    this.files = Object.fromEntries(Object.entries(files).map(([k, v]) => [k, bytes(v)]))
    const at = { hostname: '127.0.0.1', port: 0 }
    this.#hub = Bun.serve({ ...at, fetch: (request) => this.#answer(request, 'hub') })
    this.#cdn = Bun.serve({ ...at, fetch: (request) => this.#answer(request, 'cdn') })
    const data = (socket: Bun.Socket) => {
      this.#open.push(socket)
      socket.write(this.#torn)
    }
    this.#raw = Bun.listen({ ...at, socket: { data } })
  }

  get endpoint(): string {
    return this.#hub.url.origin
  }

  /** Requests since the last call, as `GET cdn /name`. */
  take(): string[] {
    return this.seen.splice(0).map(({ method, from, path }) => `${method} ${from} ${path}`)
  }

  /** Leads to the beginning of a file, of `count` bytes; no more come until `hangUp`. */
  brokenOff(name: string, count: number): Response {
    const { length } = this.files[name]
    const head = `HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n`
    this.#torn = Buffer.concat([Buffer.from(head), this.files[name].subarray(0, count)])
    return Response.redirect(`http://127.0.0.1:${this.#raw.port}/`, 302)
  }

  hangUp(): void {
    for (const socket of this.#open.splice(0)) socket.end()
  }

  #answer(request: Request, from: Seen['from']): Response {
    const { method, headers } = request
    const path = decodeURIComponent(new URL(request.url).pathname)
    const seen: Seen = {
      ...{ method, path, from },
      range: headers.get('range') ?? undefined,
      authorization: headers.get('authorization') ?? undefined,
    }
    this.seen.push(seen)
    const interference = this.interfere(seen)
    if (interference !== undefined) return interference
    if (from === 'cdn') return this.#content(path.slice(1), seen.range)
    if (this.token !== undefined && seen.authorization !== `Bearer ${this.token}`) {
      return refusal(401, seen.authorization ? '' : 'RepoNotFound')
    }
    const asked = /^\/api\/models\/(\w+\/\w+)\/revision\/(.+)$/.exec(path)
    if (asked) return this.#revision(asked[1], asked[2])
    const file = /^\/(\w+\/\w+)\/resolve\/(\w+)\/(.+)$/.exec(path)
    if (file === null || file[1] !== this.repository) return refusal(404, 'RepoNotFound')
    if (file[2] !== this.head) return refusal(404, 'RevisionNotFound')
    return this.#file(file[3], method, seen.range)
  }

  #revision(repository: string, revision: string): Response {
    if (repository !== this.repository) return refusal(404, 'RepoNotFound')
    const commit = { main: this.head, [this.head]: this.head, old: OLDER }[revision]
    if (commit === undefined) return refusal(404, 'RevisionNotFound')
    const siblings = Object.keys(this.files).map((rfilename) => ({ rfilename }))
    return Response.json({ id: repository, sha: commit, siblings })
  }

  #file(name: string, method: string, range: string | undefined): Response {
    const content = this.files[name]
    if (content === undefined) return refusal(404, 'EntryNotFound')
    const etag = etagOf(name, content)
    if (!isLarge(name)) {
      if (method !== 'HEAD') return this.#content(name, range)
      return new Response(content, { headers: { etag: `"${etag}"` } })
    }
    return new Response(null, {
      status: 302,
      headers: {
        location: new URL(`/${name}`, this.#cdn.url).href,
        'x-linked-etag': `"${etag}"`,
        'x-linked-size': String(content.length),
        'x-repo-commit': this.head,
      },
    })
  }

  #content(name: string, range: string | undefined): Response {
    const content = this.files[name]
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0)
    if (from === 0) return new Response(content)
    const { length } = content
    return new Response(content.subarray(from), {
      status: 206,
      headers: { 'content-range': `bytes ${from}-${length - 1}/${length}` },
    })
  }

  [Symbol.dispose](): void {
    this.#hub.stop(true)
    this.#cdn.stop(true)
    this.#raw.stop(true)
  }
}

export function refusal(status: number, code = '', headers: Record<string, string> = {}): Response {
  return new Response('no', { status, headers: { ...headers, 'x-error-code': code } })
}

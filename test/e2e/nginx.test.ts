// Two real replicas behind a real nginx with the configuration of deploy/nginx: streams are spread and
// passed on token by token, and nothing is lost but what ran on a replica that was killed.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type ServerProcess, startServer } from '../helpers/server.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

const NGINX = [Bun.which('nginx'), '/usr/sbin/nginx'].find((path) => path && existsSync(path))
const DEPLOY = join(import.meta.dir, '../../deploy/nginx')

/** Workers of nginx give up root, and with it the folder of this test, unless told otherwise. */
const isRoot = process.getuid?.() === 0

interface Proxy extends AsyncDisposable {
  url: string
}

/** A port that nobody listens on; nginx cannot choose one itself. */
function freePort(): number {
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() })
  const { port } = server
  server.stop(true)
  return port!
}

/** nginx as a process of an ordinary user, in front of these replicas. */
async function startProxy(replicas: readonly string[]): Promise<Proxy> {
  const folder = await TempFolder.create()
  const at = (name: string) => join(folder.path, name)
  const port = freePort()
  const [server, upstream] = await Promise.all(
    ['glaze.conf', 'upstream.conf'].map((name) => Bun.file(join(DEPLOY, name)).text()),
  )
  const addresses = replicas.map((url) => new URL(url).host)
  const members = addresses.map((host) => `server ${host} max_fails=3 fail_timeout=2s;`).join('\n')
  await Bun.write(at('upstream.conf'), upstream.replace(/^ *server replica:.*$/m, members))
  const own = server
    .replace('/etc/nginx/upstream.conf', at('upstream.conf'))
    .replace(/^resolver .*$/m, '')
    .replace('listen 8080;', `listen 127.0.0.1:${port};`)
  await Bun.write(at('glaze.conf'), own)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${at(name)};`)
    .join('\n')
  await Bun.write(
    at('nginx.conf'),
    `daemon off; ${isRoot ? 'user root;' : ''} worker_processes 2; pid ${at('pid')}; error_log ${at('error.log')};
     events {} http { access_log off; ${temporary} include ${at('glaze.conf')}; }`,
  )
  const child = Bun.spawn([NGINX!, '-p', folder.path, '-c', at('nginx.conf')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const url = `http://127.0.0.1:${port}`
  while (!(await fetch(`${url}/health`).catch(() => undefined))?.ok) {
    if (child.exitCode !== null) throw new Error(`nginx ended with code ${child.exitCode}`)
  }
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await child.exited
      await folder[Symbol.asyncDispose]()
    },
  }
}

describe.skipIf(!NGINX)('behind nginx, if it is installed,', () => {
  let replicas: ServerProcess[]
  let proxy: Proxy

  beforeAll(async () => {
    const args = ['--max-num-seqs', '4', '--drain-delay', '0', '--served-model-name', 'tales']
    replicas = await Promise.all([startServer(args), startServer(args), startServer(args)])
    proxy = await startProxy(replicas.map(({ url }) => url))
  }, 120_000)
  afterAll(async () => {
    await proxy?.[Symbol.asyncDispose]()
    await Promise.all((replicas ?? []).map((replica) => replica[Symbol.asyncDispose]()))
  })

  const post = (body: object, headers: Record<string, string> = {}) =>
    fetch(`${proxy.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ prompt: 'Once', ignore_eos: true, ...body }),
    })
  const open = (tokens: number, headers?: Record<string, string>) =>
    post({ max_tokens: tokens, stream: true, stream_options: { include_usage: true } }, headers)

  /** The text of a stream; what came of it if it broke off. */
  async function drainStream(response: Response): Promise<{ text: string; isWhole: boolean }> {
    let text = ''
    const decoder = new TextDecoder()
    try {
      for await (const bytes of response.body!) text += decoder.decode(bytes, { stream: true })
    } catch {
      // A replica that is killed takes its streams with it.
    }
    return { text, isWhole: text.endsWith('data: [DONE]\n\n') }
  }

  /** Requests that a replica has, running or about to. */
  async function load(replica: ServerProcess): Promise<number> {
    const text = await (await fetch(`${replica.url}/metrics`)).text()
    const figures = text.matchAll(/^glaze_requests_(?:running|waiting)\{.*\} (\d+)$/gm)
    return [...figures].reduce((sum, [, count]) => sum + Number(count), 0)
  }

  /** Streams on replicas that had nothing to do. */
  async function openOn(idle: readonly ServerProcess[], count: number, tokens: number) {
    while ((await Promise.all(idle.map(load))).some((requests) => requests > 0));
    return Promise.all(Array.from({ length: count }, () => open(tokens)))
  }

  test('tokens come one by one, and requests keep their ids', async () => {
    const response = await open(30)
    expect(response.headers.get('x-request-id')).toMatch(/^[\da-f]{32}$/)
    let reads = 0
    for await (const _ of response.body!) reads++
    expect(reads).toBeGreaterThan(10)
    const named = await open(1, { 'x-request-id': 'mine-1' })
    expect(named.headers.get('x-request-id')).toBe('mine-1')
    await named.text()
  }, 60_000)

  test('streams are spread over the replicas with the fewest', async () => {
    const streams = await openOn(replicas, 6, 300)
    expect(await Promise.all(replicas.map(load))).toEqual([2, 2, 2])
    await Promise.all(streams.map((stream) => stream.body!.cancel()))
  }, 60_000)

  test('a replica that drains finishes its streams while others take what comes', async () => {
    const [, , drained] = replicas
    const streams = await openOn(replicas, 6, 60)
    expect(await load(drained)).toBe(2)
    drained.process.kill('SIGTERM')
    // While it drains, and when it has gone.
    const late: Awaited<ReturnType<typeof drainStream>>[] = []
    const request = async () => {
      const response = await open(2)
      expect(response.status).toBe(200)
      late.push(await drainStream(response))
    }
    while (drained.process.exitCode === null) await request()
    await Promise.all([request(), request(), request()])
    expect(late.length).toBeGreaterThan(4)
    const ends = [...(await Promise.all(streams.map(drainStream))), ...late]
    expect(ends.filter(({ isWhole }) => !isWhole)).toEqual([])
    for (const { text } of ends.slice(0, 6)) expect(text).toContain('"completion_tokens":60')
    expect(drained.process.exitCode).toBe(0)
  }, 60_000)

  test('a replica that is killed takes its own streams with it and nothing else', async () => {
    const [killed, left] = replicas
    const streams = await openOn([killed, left], 4, 200)
    expect([await load(killed), await load(left)]).toEqual([2, 2])
    // Of a reply that comes in one piece nothing has been sent: it is made again elsewhere.
    const whole = [post({ max_tokens: 150 }), post({ max_tokens: 150 })]
    while ((await load(killed)) + (await load(left)) < 6);
    expect([await load(killed), await load(left)]).toEqual([3, 3])
    killed.process.kill('SIGKILL')
    const late = await Promise.all(Array.from({ length: 6 }, () => open(5)))
    expect(late.map(({ status }) => status)).toEqual(Array(6).fill(200))
    const ends = await Promise.all([...streams, ...late].map(drainStream))
    expect(ends.slice(0, 4).filter(({ isWhole }) => isWhole)).toHaveLength(2)
    expect(ends.slice(4).filter(({ isWhole }) => !isWhole)).toEqual([])
    for (const response of await Promise.all(whole)) {
      expect(response.status).toBe(200)
      expect(await response.json()).toMatchObject({ usage: { completion_tokens: 150 } })
    }
  }, 60_000)

  test('a body that is too large for a replica gets its error', async () => {
    const response = await post({ prompt: 'x'.repeat(20 * 2 ** 20) })
    expect(response.status).toBe(413)
    expect(await response.json()).toMatchObject({ error: { type: 'invalid_request_error' } })
  })

  test('without any replica clients are told to try again', async () => {
    replicas[1].process.kill('SIGKILL')
    await replicas[1].process.exited
    for (let i = 0; i < 5; i++) {
      const response = await post({ max_tokens: 1 })
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('2')
      expect(await response.json()).toMatchObject({ error: { type: 'unavailable_error' } })
    }
  })
})

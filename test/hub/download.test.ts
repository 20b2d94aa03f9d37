// Models of a hub: what is fetched, how it lies in the cache, and how broken transfers end.

import { describe, expect, test } from 'bun:test'
import { lstat, mkdir, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { COMMIT, etagOf, refusal } from '../helpers/fake-hub.ts'
import { FILES, Harness, WEIGHTS } from './harness.ts'

const ETAG = etagOf('model.safetensors', WEIGHTS)
const weightsOf = async (harness: Harness) =>
  Bun.file(harness.at('snapshots', COMMIT, 'model.safetensors')).bytes()

describe('a download', () => {
  test('is laid out as the cache that programs of Hugging Face share', async () => {
    await using harness = await Harness.open()
    const progress: [number, number][] = []
    const found = await harness.resolve({ onProgress: (...args) => progress.push(args) })
    expect(found).toEqual({
      name: 'tales/tiny',
      folder: harness.at('snapshots', COMMIT),
      commit: COMMIT,
    })
    expect(await Bun.file(harness.at('refs/main')).text()).toBe(COMMIT)
    const names = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']
    expect((await readdir(found.folder)).sort()).toEqual(names)
    for (const name of names) {
      const content = new Uint8Array(await new Blob([FILES[name as keyof typeof FILES]]).bytes())
      expect(await readlink(join(found.folder, name))).toBe(`../../blobs/${etagOf(name, content)}`)
      expect(await Bun.file(join(found.folder, name)).bytes()).toEqual(content)
    }
    expect((await readdir(harness.at('blobs'))).length).toBe(names.length)
    expect(progress.at(-1)).toEqual([WEIGHTS.length, WEIGHTS.length])
  })

  test('fetches neither pickles nor what it does not know', async () => {
    await using harness = await Harness.open()
    await harness.resolve()
    expect(harness.hub.take().filter((line) => /README|\.bin/.test(line))).toEqual([])
  })

  test('has templates of their own folder', async () => {
    const name = 'additional_chat_templates/tool_use.jinja'
    await using harness = await Harness.open({ ...FILES, [name]: '{{ tools }}' })
    const { folder } = await harness.resolve()
    expect(await Bun.file(join(folder, name)).text()).toBe('{{ tools }}')
    harness.hub.take()
    await harness.resolve({ revision: COMMIT })
    expect(harness.hub.take()).toEqual([])
  })

  test('asks for nothing but the revision when all is there, and for a commit not even that', async () => {
    await using harness = await Harness.open()
    await harness.resolve()
    harness.hub.take()
    await harness.resolve()
    expect(harness.hub.take()).toEqual(['GET hub /api/models/tales/tiny/revision/main'])
    await harness.resolve({ revision: COMMIT })
    expect(harness.hub.take()).toEqual([])
  })

  test('follows a branch to its new commit and shares the files that did not change', async () => {
    await using harness = await Harness.open()
    await harness.resolve()
    harness.hub.take()
    harness.hub.head = 'd'.repeat(40)
    harness.hub.files['config.json'] = new TextEncoder().encode('{"model_type":"gsa"}')
    const { commit, folder } = await harness.resolve()
    expect(commit).toBe('d'.repeat(40))
    expect(await Bun.file(join(folder, 'config.json')).json()).toEqual({ model_type: 'gsa' })
    const got = harness.hub.take().filter((line) => line.startsWith('GET') && !/api/.test(line))
    expect(got).toEqual([`GET hub /tales/tiny/resolve/${'d'.repeat(40)}/config.json`])
    expect(await Bun.file(harness.at('refs/main')).text()).toBe('d'.repeat(40))
  })

  test('takes the shards that the index lists, and leaves the weights for --random-weights', async () => {
    const index = { weight_map: { a: 'model-1.safetensors', b: 'model-2.safetensors' } }
    await using harness = await Harness.open({
      ...{ 'config.json': '{}', 'tokenizer.json': '{}', 'consolidated.safetensors': 'x' },
      'model.safetensors.index.json': JSON.stringify(index),
      ...{ 'model-1.safetensors': 'one', 'model-2.safetensors': 'two' },
    })
    const { folder } = await harness.resolve({ withoutWeights: true })
    expect((await readdir(folder)).sort()).toEqual(['config.json', 'tokenizer.json'])
    await harness.resolve()
    expect((await readdir(folder)).filter((name) => name.endsWith('.safetensors')).sort()).toEqual([
      'model-1.safetensors',
      'model-2.safetensors',
    ])
  })

  test('of two processes at once both end with whole files, and one fetches', async () => {
    await using harness = await Harness.open()
    const all = await Promise.all([harness.resolve(), harness.resolve(), harness.resolve()])
    expect(all.map(({ commit }) => commit)).toEqual([COMMIT, COMMIT, COMMIT])
    expect(await weightsOf(harness)).toEqual(WEIGHTS)
    expect(harness.hub.take().filter((line) => line.startsWith('GET cdn'))).toHaveLength(1)
  })
})

describe('a broken transfer', () => {
  /** Hangs up once what the hub sent has been written. */
  const hangUpAt = (harness: Harness, bytes: number) => (done: number) => {
    if (done === bytes) harness.hub.hangUp()
  }

  test('goes on where it broke off, in the same start', async () => {
    await using harness = await Harness.open()
    let breaks = 0
    harness.hub.interfere = ({ from }) =>
      from === 'cdn' && breaks++ === 0
        ? harness.hub.brokenOff('model.safetensors', 100_000)
        : undefined
    await harness.resolve({ onProgress: hangUpAt(harness, 100_000) })
    expect(await weightsOf(harness)).toEqual(WEIGHTS)
    const ranges = harness.hub.seen.filter(({ from }) => from === 'cdn').map(({ range }) => range)
    expect(ranges).toEqual([undefined, 'bytes=100000-'])
    expect(harness.retries).toHaveLength(1)
  })

  test('is given up after some tries without a byte, and the next start goes on', async () => {
    await using harness = await Harness.open()
    let breaks = 0
    harness.hub.interfere = ({ from }) => {
      if (from !== 'cdn') return undefined
      return breaks++ === 0 ? harness.hub.brokenOff('model.safetensors', 100_000) : refusal(502)
    }
    expect(await harness.failure({ onProgress: hangUpAt(harness, 100_000) })).toMatch(
      /^http:.*\/tales\/tiny\/resolve\/.*\/model\.safetensors: .* answered 502 \(5 tries\)$/,
    )
    expect(Bun.file(harness.at('blobs', `${ETAG}.incomplete`)).size).toBe(100_000)
    expect(await readdir(harness.at('snapshots', COMMIT))).not.toContain('model.safetensors')
    harness.hub.interfere = () => undefined
    harness.hub.take()
    await harness.resolve()
    expect(await weightsOf(harness)).toEqual(WEIGHTS)
  })

  test('is read from the start where the server knows no ranges', async () => {
    await using harness = await Harness.open()
    await mkdir(harness.at('blobs'), { recursive: true })
    await Bun.write(harness.at('blobs', `${ETAG}.incomplete`), WEIGHTS.slice(0, 5000))
    harness.hub.interfere = ({ from }) => (from === 'cdn' ? new Response(WEIGHTS) : undefined)
    const progress: [number, number][] = []
    await harness.resolve({ onProgress: (...args) => progress.push(args) })
    expect(await weightsOf(harness)).toEqual(WEIGHTS)
    expect(progress.at(-1)).toEqual([WEIGHTS.length, WEIGHTS.length])
  })

  test('that stalls is taken up again', async () => {
    await using harness = await Harness.open()
    let stalls = 0
    const never = () =>
      new Response(new ReadableStream({ start: (c) => c.enqueue(WEIGHTS.slice(0, 1000)) }))
    harness.hub.interfere = ({ from }) => (from === 'cdn' && stalls++ === 0 ? never() : undefined)
    await harness.resolve({ hub: { downloadTimeoutMs: 200 } })
    expect(await weightsOf(harness)).toEqual(WEIGHTS)
    expect(harness.retries).toEqual(['nothing came for 200 ms'])
  })

  test.each([
    ['damaged on the way', WEIGHTS.map((byte, index) => (index === 9 ? byte ^ 1 : byte))],
    ['of a leftover that is not its beginning', undefined],
  ])('%s is found by the hash, removed and fetched anew', async (_, damaged) => {
    await using harness = await Harness.open()
    if (damaged === undefined) {
      await mkdir(harness.at('blobs'), { recursive: true })
      await Bun.write(harness.at('blobs', `${ETAG}.incomplete`), new Uint8Array(50_000))
    } else {
      harness.hub.interfere = ({ from }) => (from === 'cdn' ? new Response(damaged) : undefined)
    }
    expect(await harness.failure()).toMatch(
      new RegExp(
        `model.safetensors came with the hash \\w{64}, the hub tells ${ETAG}; it was removed`,
      ),
    )
    expect(await readdir(harness.at('blobs'))).not.toContain(`${ETAG}.incomplete`)
    harness.hub.interfere = () => undefined
    await harness.resolve()
    expect(await weightsOf(harness)).toEqual(WEIGHTS)
  })

  test('of more bytes than were told ends with an error', async () => {
    await using harness = await Harness.open()
    harness.hub.interfere = ({ from }) =>
      from === 'cdn' ? new Response(new Uint8Array(WEIGHTS.length + 1)) : undefined
    expect(await harness.failure()).toContain(`more than the ${WEIGHTS.length} bytes it told`)
  })

  test('of a small file is found by the hash of git', async () => {
    await using harness = await Harness.open()
    harness.hub.interfere = ({ method, path }) =>
      method === 'GET' && path.endsWith('/config.json')
        ? new Response('{"model_type":"gsa"}')
        : undefined
    expect(await harness.failure()).toContain('config.json came with the hash')
    expect(await lstat(harness.at('snapshots', COMMIT, 'config.json')).catch(() => 0)).toBe(0)
  })
})

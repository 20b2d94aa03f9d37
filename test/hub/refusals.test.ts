// Hubs that refuse, are busy or cannot be reached; caches that cannot be written to.

import { describe, expect, test } from 'bun:test'
import { chmodSync } from 'node:fs'
import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { COMMIT, refusal } from '../helpers/fake-hub.ts'
import { FILES, Harness } from './harness.ts'

/** A port that nobody listens on. */
const NOBODY = 'http://127.0.0.1:9'

/** Until disposed of; root is stopped by a mount alone, which not every container allows. */
async function makeReadOnly(folder: string): Promise<Disposable & { worked: boolean }> {
  if (process.getuid?.() !== 0) {
    const inside = await readdir(folder, { recursive: true, withFileTypes: true })
    const folders = inside.filter((entry) => entry.isDirectory())
    const paths = [folder, ...folders.map(({ parentPath, name }) => join(parentPath, name))]
    for (const path of paths) await chmod(path, 0o555)
    const restore = () => {
      for (const path of paths) chmodSync(path, 0o755)
    }
    return { worked: true, [Symbol.dispose]: restore }
  }
  const mount = (...args: string[]) => Bun.spawnSync(['mount', ...args, folder]).exitCode === 0
  const bound = mount('--bind', folder)
  return {
    worked: bound && mount('-o', 'remount,bind,ro'),
    [Symbol.dispose]() {
      if (bound) Bun.spawnSync(['umount', folder])
    },
  }
}

describe('a hub that refuses', () => {
  test.each([
    ['401 without a token', undefined, /\(401\): .* or it is private and HF_TOKEN is not set$/],
    ['401 for a token', 'hf_other', /\(401\): .* or the token may not read it$/],
  ])('%s', async (_, token, message) => {
    await using harness = await Harness.open()
    harness.hub.token = 'hf_right'
    expect(await harness.failure({ hub: { token } })).toMatch(message)
    expect(harness.retries).toEqual([])
  })

  test('opens with the right token, which nobody but the hub gets', async () => {
    await using harness = await Harness.open()
    harness.hub.token = 'hf_right'
    await harness.resolve({ hub: { token: 'hf_right' } })
    const { seen } = harness.hub
    const sent = (from: string) => [
      ...new Set(seen.filter((one) => one.from === from).map((one) => one.authorization)),
    ]
    expect(sent('hub')).toEqual(['Bearer hf_right'])
    expect(sent('cdn')).toEqual([undefined])
  })

  test('a gated model names the page where its conditions are accepted', async () => {
    await using harness = await Harness.open()
    harness.hub.interfere = ({ method }) =>
      method === 'HEAD' ? refusal(403, 'GatedRepo') : undefined
    expect(await harness.failure()).toContain(
      `is gated (403): its conditions must be accepted at ${harness.hub.endpoint}/tales/tiny by you`,
    )
  })

  test.each([
    ['a model', 'tales/none', undefined, /does not show tales\/none \(404\)/],
    ['a revision', 'tales/tiny', 'v9', /^tales\/tiny has no revision "v9" on 127\.0\.0\.1:\d+$/],
    ['a file', 'tales/tiny', 'old', /has no revision "beef0+"/],
  ])('404 for %s', async (_, model, revision, message) => {
    await using harness = await Harness.open()
    expect(await harness.failure({ revision }, model)).toMatch(message)
    expect(harness.retries).toEqual([])
  })

  test('429 is waited for as the hub asks', async () => {
    await using harness = await Harness.open()
    let refusals = 0
    harness.hub.interfere = () =>
      refusals++ < 3 ? refusal(429, '', { 'retry-after': '0' }) : undefined
    expect((await harness.resolve()).commit).toBe(COMMIT)
    expect(harness.retries).toHaveLength(3)
  })

  test('429 for long is given up at once, and for ever after five tries', async () => {
    await using harness = await Harness.open()
    harness.hub.interfere = () => refusal(429, '', { 'retry-after': '3600' })
    expect(await harness.failure()).toMatch(/answered 429, asking to wait 3600 s$/)
    harness.hub.take()
    harness.hub.interfere = () => refusal(429)
    expect(await harness.failure()).toMatch(/answered 429 \(5 tries\)$/)
    expect(harness.hub.take()).toHaveLength(5)
  })

  test.each([
    ['no list', () => Response.json({ error: 'x' }), 'something else than a list of files'],
    ['a page', () => new Response('<html>'), 'something else than a list of files'],
    ['418', () => refusal(418), 'was answered with 418'],
    ['a circle', () => Response.redirect('/api/models/x/y/revision/main'), 'cannot be followed'],
    [
      'another scheme',
      () => new Response(null, { status: 302, headers: { location: 'file:///etc/passwd' } }),
      'points to "file:///etc/passwd", which cannot be followed',
    ],
  ])('%s in place of an answer', async (_, answer, message) => {
    await using harness = await Harness.open()
    harness.hub.interfere = answer
    expect(await harness.failure()).toContain(message)
  })

  test.each([
    ['a name', { 'model.safetensors.index.json': '{"weight_map":{"a":"../x.safetensors"}}' }],
    ['an ETag', {}],
  ])('%s that leads out of the cache', async (_, files) => {
    await using harness = await Harness.open({ ...FILES, ...files })
    if (Object.keys(files).length === 0) {
      harness.hub.interfere = ({ method }) =>
        method === 'HEAD' ? new Response('x', { headers: { etag: '"../../../x"' } }) : undefined
    }
    expect(await harness.failure()).toMatch(/is no list of shards|without a size and an ETag/)
  })

  test.each([
    ['pickles', { 'config.json': '{}', 'pytorch_model.bin': 'x' }, 'but pytorch_model.bin; save'],
    ['nothing', { 'config.json': '{}' }, 'but no weights at all; save'],
    [
      'a shard less',
      { 'model.safetensors.index.json': '{"weight_map":{"a":"m.safetensors"}}' },
      'lists m.safetensors, which the repository lacks',
    ],
  ])('weights: %s', async (_, files, message) => {
    await using harness = await Harness.open(files as Record<string, string>)
    expect(await harness.failure()).toContain(message)
  })
})

describe('without a hub', () => {
  test('what is there is served offline, and the variable is named for what is not', async () => {
    await using harness = await Harness.open()
    const hub = { offlineBy: 'HF_HUB_OFFLINE' }
    expect(await harness.failure({ hub })).toBe(
      `tales/tiny (revision main) is not whole in ${harness.cacheFolder}, ` +
        'and HF_HUB_OFFLINE forbids to download it',
    )
    await harness.resolve()
    harness.hub.take()
    expect((await harness.resolve({ hub })).commit).toBe(COMMIT)
    expect(harness.hub.take()).toEqual([])
    await rm(harness.at('snapshots', COMMIT, 'model.safetensors'))
    expect(await harness.failure({ hub })).toContain('is not whole')
  })

  test('the last commit is served with a warning', async () => {
    await using harness = await Harness.open()
    expect(await harness.failure({ hub: { endpoint: NOBODY } })).toMatch(
      /^http:\/\/127\.0\.0\.1:9\/api\/models\/tales\/tiny\/revision\/main: \w+ .*\(5 tries\)$/,
    )
    await harness.resolve()
    expect((await harness.resolve({ hub: { endpoint: NOBODY } })).commit).toBe(COMMIT)
    expect(harness.warnings).toHaveLength(1)
    expect(harness.warnings[0]).toStartWith(
      `tales/tiny: serving commit ${COMMIT}, which main stood`,
    )
  })

  test('a no of the hub is no reason to serve the last commit', async () => {
    await using harness = await Harness.open()
    await harness.resolve()
    harness.hub.token = 'hf_right'
    expect(await harness.failure()).toContain('(401)')
  })
})

describe('a cache', () => {
  test('that is read-only serves what it has', async () => {
    await using harness = await Harness.open()
    await harness.resolve()
    await rm(harness.at('refs/main'))
    using readOnly = await makeReadOnly(harness.cacheFolder)
    if (!readOnly.worked) return
    expect((await harness.resolve()).commit).toBe(COMMIT)
    expect((await harness.resolve({ revision: COMMIT })).commit).toBe(COMMIT)
    harness.hub.head = 'd'.repeat(40)
    expect(await harness.failure()).toMatch(/cannot be written \((EACCES|EROFS)\); HF_HUB_CACHE or/)
  })

  test('that is read-only serves its last commit when the branch has gone on', async () => {
    await using harness = await Harness.open()
    await harness.resolve()
    harness.hub.head = 'd'.repeat(40)
    using readOnly = await makeReadOnly(harness.cacheFolder)
    if (!readOnly.worked) return
    expect((await harness.resolve()).commit).toBe(COMMIT)
    expect(harness.warnings[0]).toContain(`serving commit ${COMMIT}`)
  })

  test('that cannot be made is named', async () => {
    await using harness = await Harness.open()
    await writeFile(harness.cacheFolder, 'a file')
    expect(await harness.failure()).toMatch(
      /models--tales--tiny\/blobs cannot be written \((ENOTDIR|EEXIST)\); HF_HUB_CACHE or --download-dir/,
    )
  })

  test.skipIf(process.getuid?.() !== 0 || process.platform !== 'linux')(
    'on a disk that is too small says so before it fetches (needs root)',
    async () => {
      await using harness = await Harness.open()
      await mkdir(harness.cacheFolder)
      const mounted = Bun.spawnSync([
        'mount',
        '-t',
        'tmpfs',
        '-o',
        'size=128k',
        'x',
        harness.cacheFolder,
      ])
      if (mounted.exitCode !== 0) return
      try {
        expect(await harness.failure()).toMatch(
          /1 MiB are to be downloaded, the disk of .* has 1 MiB free; HF_HUB_CACHE/,
        )
        expect(harness.hub.take().filter((line) => line.startsWith('GET cdn'))).toEqual([])
      } finally {
        Bun.spawnSync(['umount', harness.cacheFolder])
      }
    },
  )
})

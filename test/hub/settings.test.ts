// What a model argument names, and what the environment says of the hub.

import { describe, expect, test } from 'bun:test'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { locateModel } from '../../src/hub/model-source.ts'
import { resolveModel } from '../../src/hub/resolve-model.ts'
import { readHubSettings } from '../../src/hub/settings.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

describe('MODEL', () => {
  test.each([
    ['fla-hub/gla-7B-mistral-20B', 'repository'],
    ['a/b.c_d-e', 'repository'],
    ['src/hub', 'folder'],
    ['./fla-hub/gla', 'folder'],
    ['/fla-hub/gla', 'folder'],
    ['a/b/c', 'folder'],
    ['a/b.git', 'folder'],
    ['a/../b', 'folder'],
    ['src', 'folder'],
  ])('%s is a %s', async (model, kind) => {
    expect((await locateModel(model)).kind).toBe(kind as 'folder')
  })

  test('a single word that is no folder may mean either', async () => {
    expect(locateModel('gla-7b')).rejects.toThrow(
      'and models of the Hugging Face Hub have an owner: OWNER/gla-7b',
    )
  })

  test.each(['../x', 'a b', '', '-x', 'a//b', 'x/'])(
    '--revision %p is refused',
    async (revision) => {
      const hub = { ...(await readHubSettings({})), version: '1' }
      expect(resolveModel('a/b', { revision, hub })).rejects.toThrow('expected a branch, a tag or')
    },
  )

  test('a folder has no revisions', async () => {
    const hub = { ...(await readHubSettings({})), version: '1' }
    expect(resolveModel('src', { revision: 'main', hub })).rejects.toThrow(
      '--revision main: MODEL is the folder',
    )
  })
})

describe('the environment', () => {
  test.each([
    [{}, join(homedir(), '.cache/huggingface/hub')],
    [{ XDG_CACHE_HOME: '/x' }, '/x/huggingface/hub'],
    [{ XDG_CACHE_HOME: '/x', HF_HOME: '/h' }, '/h/hub'],
    [{ HF_HOME: '/h', HUGGINGFACE_HUB_CACHE: '/old' }, '/old'],
    [{ HF_HOME: '~/h', HUGGINGFACE_HUB_CACHE: '/old', HF_HUB_CACHE: '/c' }, '/c'],
    [{ HF_HOME: '~/h' }, join(homedir(), 'h/hub')],
  ])('%j keeps models in %s', async (env, folder) => {
    expect((await readHubSettings(env)).cacheFolder).toBe(folder)
    expect((await readHubSettings(env, '/flag')).cacheFolder).toBe('/flag')
  })

  test('tokens are of a variable or a file', async () => {
    await using temp = await TempFolder.create()
    const file = join(temp.path, 'token')
    await Bun.write(file, 'hf_file\n')
    const tokenOf = async (env: Record<string, string>) => (await readHubSettings(env)).token
    expect(await tokenOf({ HF_HOME: temp.path })).toBe('hf_file')
    expect(await tokenOf({ HF_HOME: '/none', HF_TOKEN_PATH: file })).toBe('hf_file')
    expect(await tokenOf({ HF_HOME: temp.path, HUGGING_FACE_HUB_TOKEN: 'hf_old' })).toBe('hf_old')
    expect(await tokenOf({ HF_TOKEN: 'hf_new', HUGGING_FACE_HUB_TOKEN: 'hf_old' })).toBe('hf_new')
    expect(await tokenOf({ HF_HOME: '/none' })).toBeUndefined()
    expect(tokenOf({ HF_HOME: '/none', HF_TOKEN: 'a b' })).rejects.toThrow(
      'HF_TOKEN holds no token',
    )
  })

  test('the rest', async () => {
    expect(await readHubSettings({ HF_HOME: '/h' })).toMatchObject({
      endpoint: 'https://huggingface.co',
      offlineBy: undefined,
      requestTimeoutMs: 10_000,
    })
    const env = { HF_HOME: '/h', HF_ENDPOINT: 'https://mirror/x/', HF_HUB_OFFLINE: 'yes' }
    expect(await readHubSettings({ ...env, HF_HUB_DOWNLOAD_TIMEOUT: '3' })).toMatchObject({
      ...{ endpoint: 'https://mirror/x', offlineBy: 'HF_HUB_OFFLINE', downloadTimeoutMs: 3000 },
    })
    expect(readHubSettings({ HF_ENDPOINT: 'mirror' })).rejects.toThrow('HF_ENDPOINT is "mirror"')
    expect(readHubSettings({ HF_HUB_ETAG_TIMEOUT: '0' })).rejects.toThrow('whole seconds from 1')
  })
})

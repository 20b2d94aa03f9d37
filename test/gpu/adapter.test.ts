// Which Vulkan driver is taken: the system's if it has one, else the one from the npm package. The
// package's own files stand in for a system's driver, found by the loader's usual means.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { cpSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { softwareDriverSupported, unpackDriver } from '../../src/gpu/software.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

let system: TempFolder

beforeAll(async () => {
  system = await TempFolder.create()
  if (softwareDriverSupported()) cpSync(unpackDriver(), system.path, { recursive: true })
})

afterAll(() => system[Symbol.asyncDispose]())

/** Runs print-adapter.ts with nothing of this machine's Vulkan but what `env` names. */
async function choose(adapter: string, env: Record<string, string>) {
  const child = Bun.spawn([process.execPath, 'test/helpers/print-adapter.ts', adapter], {
    cwd: join(import.meta.dir, '../..'),
    env: { HOME: process.env.HOME, PATH: process.env.PATH, ...env },
    stdout: 'pipe',
    stderr: 'ignore',
  })
  return JSON.parse(await new Response(child.stdout).text())
}

const hasSystemLoader = ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/lib'].some((folder) =>
  existsSync(join(folder, 'libvulkan.so.1')),
)

describe.skipIf(!softwareDriverSupported())('the Vulkan driver', () => {
  const withDriver = () => ({
    LD_LIBRARY_PATH: system.path,
    VK_DRIVER_FILES: join(system.path, 'vk_swiftshader_icd.json'),
  })

  test.each(['auto', 'swift', 'SWIFTSHADER DRIVER'])(
    'of the system is taken for %s',
    async (adapter) => {
      const { name, driver } = await choose(adapter, withDriver())
      expect(name).toStartWith('SwiftShader')
      expect(driver).toStartWith(system.path)
    },
  )

  test.each(['auto', 'software', 'swift'])(
    'of the package is taken for %s if the system has a loader but no driver',
    async (adapter) => {
      const env = { LD_LIBRARY_PATH: system.path, VK_DRIVER_FILES: '/nonexistent.json' }
      const { name, driver } = await choose(adapter, env)
      expect(name).toStartWith('SwiftShader')
      expect(driver).not.toStartWith(system.path)
    },
  )

  test('is never the software one for another name', async () => {
    const { error } = await choose('nonesuch', withDriver())
    expect(error).toContain('no adapter matches --adapter nonesuch; found: google swiftshader')
  })

  test.skipIf(hasSystemLoader)('of the package is taken where there is no loader', async () => {
    expect((await choose('auto', {})).name).toStartWith('SwiftShader')
    expect((await choose('nonesuch', {})).error).toContain('found: none')
  })
})

// `glaze serve --check`: the exit code and what is printed; no port and no GPU is needed.

import { describe, expect, test } from 'bun:test'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { runGlaze } from '../helpers/command.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

/** No adapter has this name: whoever asked for the GPU would fail. */
const check = (args: string[], env: Record<string, string> = {}) =>
  runGlaze(['serve', '--check', '--adapter', 'nonesuch', ...args], env)

describe('--check', () => {
  test('prints the options, the model and how it is guarded', async () => {
    await using temp = await TempFolder.create()
    const file = join(temp.path, 'keys')
    await Bun.write(file, 'sk-of-file\n')
    await chmod(file, 0o600)
    const args = ['--api-key-file', file, '--chat-template', 'test/fixtures/chatml.jinja']
    const env = { GLAZE_API_KEY: 'sk-1,sk-2', GLAZE_MAX_MODEL_LEN: '4096' }
    const { stdout, stderr, code } = await check(args, env)
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^--port +8000 +default$/m)
    expect(stdout).toMatch(/^--adapter +nonesuch +--adapter$/m)
    expect(stdout).toMatch(/^--api-key +\*\*\* +GLAZE_API_KEY$/m)
    expect(stdout).toMatch(/^--max-model-len +4096 +GLAZE_MAX_MODEL_LEN$/m)
    expect(stdout).toMatch(/^model {4}tales-gla-5m \(gla, 6 layers\) from \//m)
    expect(stdout).toMatch(/^length {3}4096 tokens$/m)
    expect(stdout).toMatch(/^chats {4}by a template$/m)
    expect(stdout).toMatch(/^keys {5}one of 3 is needed$/m)
    expect(stdout).not.toContain('sk-')
  })

  test.each([
    ['an option', ['--port', 'x'], '--port is "x": expected a whole number', false],
    ['the model', ['/no/such/folder'], '/no/such/folder: there is no such folder', true],
    ['the weights', ['test/fixtures'], 'has no config.json', true],
    ['the key file', ['--api-key-file', '/no/file'], '--api-key-file /no/file cannot be', true],
    ['the template', ['--chat-template', '/no/file'], '--chat-template is /no/file', true],
  ])('ends with 1 and one line for %s', async (_, args, message, hasOptions) => {
    const { stdout, stderr, code } = await check(args)
    expect(stderr).toContain(message)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(stdout.includes('--max-queue')).toBe(hasOptions)
    expect(stdout).not.toContain('can be used')
    expect(code).toBe(1)
  })
})

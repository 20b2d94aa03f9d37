// Every broken checkpoint stops the real server with one line and exit code 1, before it listens.
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { brokenCheckpoints } from '../helpers/broken-checkpoints.ts'
import { runGlaze } from '../helpers/command.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

test.each(brokenCheckpoints)(
  '$name',
  async ({ make, message }) => {
    await using temp = await TempFolder.create()
    const folder = join(temp.path, 'checkpoint')
    await make(folder)
    const { stdout, stderr, code } = await runGlaze([
      'serve',
      folder,
      '--port',
      '0',
      '--dtype',
      'float16',
    ])
    expect(stderr).toMatch(message)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
    expect(stderr).toStartWith('glaze: ')
    expect(stdout).toBe('')
    expect(code).toBe(1)
  },
  60_000,
)

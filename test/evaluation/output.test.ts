// Files that results are written to: what is refused before anything runs, and what they hold when.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { link, mkdir, readdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError } from '../../src/errors.ts'
import { openOutputs } from '../../src/evaluation/output.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

let temp: TempFolder
let input: string

beforeAll(async () => {
  temp = await TempFolder.create()
  input = join(temp.path, 'input')
  await Bun.write(input, 'text')
  await Bun.write(join(temp.path, 'file'), 'before')
  await mkdir(join(temp.path, 'folder'))
  await symlink(input, join(temp.path, 'symlink'))
  await link(join(temp.path, 'file'), join(temp.path, 'link'))
})
afterAll(() => temp[Symbol.asyncDispose]())

const at = (name: string) => (name.startsWith('/') || name === '-' ? name : join(temp.path, name))
const open = (json?: string, logSamples?: string) =>
  openOutputs({ json: json && at(json), logSamples: logSamples && at(logSamples), input })

describe('refused', () => {
  test.each<[string | undefined, string | undefined, string]>([
    ['none/f', undefined, '/none/f: cannot be written (there is no such folder)'],
    ['file/f', undefined, '/file/f: cannot be written (there is no such folder)'],
    [undefined, 'folder', '/folder: cannot be written (is a folder)'],
    ['-', '-', '--json - and --log-samples -: stdout takes one of them'],
    ['new', '../new', '/new: is the file of --json '],
    ['file', 'link', '/link: is the file of --json '],
    ['input', undefined, '/input: is what is measured'],
    [undefined, 'symlink', '/symlink: is what is measured'],
  ])('--json %p, --log-samples %p', (json, logSamples, message) => {
    const other = logSamples?.replace('..', `../${temp.path.split('/').at(-1)}`)
    expect(() => open(json, other)).toThrow(ConfigError)
    expect(() => open(json, other)).toThrow(message)
  })

  test('no folder is made, and nothing written over', async () => {
    expect(await Bun.file(input).text()).toBe('text')
    expect(await readdir(temp.path)).not.toContain('none')
  })
})

test('a file keeps what it held until there is something new', async () => {
  const { json, logSamples, takeStdout } = open('file', 'samples')
  expect(takeStdout).toBe(false)
  expect(await Bun.file(at('file')).text()).toBe('before')
  await json!.replace('the first, which is long')
  await json!.replace('short')
  expect(await Bun.file(at('file')).text()).toBe('short')
  await Bun.write(at('samples'), 'of a run before')
  await logSamples!.append('a')
  await logSamples!.append('b')
  expect(await Bun.file(at('samples')).text()).toBe('ab')
})

test('what cannot be taken back is written once, at the end', async () => {
  const { json, logSamples } = open('/dev/null', '/dev/null')
  expect([json!.isReplaceable, logSamples!.isReplaceable]).toEqual([false, false])
  await json!.replace('text')
  expect(open('-').json!.isReplaceable).toBe(false)
  expect(open('-').takeStdout).toBe(true)
  expect(open('file', '-').takeStdout).toBe(true)
})

test('a full disk is told in one line', async () => {
  const { json } = open('/dev/full')
  const written = json!.replace('text')
  await expect(written).rejects.toThrow(ConfigError)
  await expect(written).rejects.toThrow('--json /dev/full: cannot be written (no space is left)')
})

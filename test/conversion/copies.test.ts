// What else a converted folder takes over from its source, besides weights.
import { afterAll, expect, test } from 'bun:test'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { TempFolder } from '../helpers/temp-folder.ts'
import { convertFolder, planOf, writeLlama } from './sources.ts'

const temp = await TempFolder.create()
afterAll(() => temp[Symbol.asyncDispose]())

const COPIED = [
  ...['tokenizer.json', 'tokenizer_config.json', 'generation_config.json'],
  ...['tokenizer.model', 'tokenizer.model.v3', 'tekken.json', 'vocab.json', 'merges.txt'],
  ...['special_tokens_map.json', 'added_tokens.json', 'chat_template.jinja'],
  ...['LICENSE', 'NOTICE.txt', 'USE_POLICY.md'],
  'additional_chat_templates/tool_use.jinja',
]

/** Those of other programs, of the model that the source was, and folders with such names. */
const LEFT = [
  ...['README.md', 'consolidated.safetensors', 'pytorch_model.bin.index.json', 'params.json'],
  ...['original/tokenizer.model', 'chat_template.d/x.jinja', 'additional_chat_templates/README.md'],
]

test('tokenizer, templates and licence', async () => {
  const source = join(temp.path, 'source')
  await writeLlama(source)
  for (const name of [...COPIED.slice(3), ...LEFT]) await Bun.write(join(source, name), name)
  const out = join(temp.path, 'out')
  await convertFolder(source, out, ['--to', 'gla'])
  const made = ['config.json', 'glaze_conversion.json', 'model.safetensors']
  const found = await readdir(out, { recursive: true, withFileTypes: true })
  const names = found
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(out.length + 1))
  expect(names.sort()).toEqual([...COPIED, ...made].sort())
  for (const name of COPIED) {
    expect(await Bun.file(join(out, name)).text()).toBe(await Bun.file(join(source, name)).text())
  }
})

test('a source without tokenizer.json is told of', async () => {
  const source = join(temp.path, 'no tokenizer')
  await mkdir(source)
  await writeLlama(source)
  expect((await planOf(source, ['--to', 'gla'])).notes).toEqual([])
  await rm(join(source, 'tokenizer.json'))
  const { notes } = await planOf(source, ['--to', 'gla'])
  expect(notes).toEqual([expect.stringContaining('has no tokenizer.json')])
})

import { expect, test } from 'bun:test'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CheckpointError, ConfigError } from '../../src/errors.ts'
import { findChatTemplates, readChatTemplate } from '../../src/loader/chat-templates.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

async function folderWith(files: Record<string, string>): Promise<TempFolder> {
  const temp = await TempFolder.create()
  await mkdir(join(temp.path, 'additional_chat_templates'))
  for (const [name, text] of Object.entries(files)) await Bun.write(join(temp.path, name), text)
  return temp
}

const config = (chatTemplate: unknown) => JSON.stringify({ chat_template: chatTemplate })

test.each<[string, Record<string, string>, [string, string, string][]]>([
  ['nothing', {}, []],
  ['a configuration without one', { 'tokenizer_config.json': config(null) }, []],
  [
    'a text in the configuration',
    { 'tokenizer_config.json': config('a') },
    [['default', 'tokenizer_config.json', 'a']],
  ],
  [
    'a list in the configuration',
    {
      'tokenizer_config.json': config([
        { name: 'default', template: 'a' },
        { name: 'tool_use', template: 'b' },
      ]),
    },
    [
      ['default', 'tokenizer_config.json', 'a'],
      ['tool_use', 'tokenizer_config.json', 'b'],
    ],
  ],
  [
    'files, which win over the configuration',
    {
      'tokenizer_config.json': config('a'),
      'chat_template.jinja': 'b',
      'additional_chat_templates/tool_use.jinja': 'c',
      'additional_chat_templates/notes.txt': 'd',
    },
    [
      ['default', 'chat_template.jinja', 'b'],
      ['tool_use', 'additional_chat_templates/tool_use.jinja', 'c'],
    ],
  ],
  [
    'the default of the configuration beside files that have none',
    {
      'tokenizer_config.json': config([
        { name: 'default', template: 'a' },
        { name: 'tool_use', template: 'b' },
      ]),
      'additional_chat_templates/tool_use.jinja': 'c',
    },
    [
      ['default', 'tokenizer_config.json', 'a'],
      ['tool_use', 'additional_chat_templates/tool_use.jinja', 'c'],
    ],
  ],
])('finds %s', async (_, files, expected) => {
  await using temp = await folderWith(files)
  const found = await findChatTemplates(temp.path)
  expect(found).toEqual(
    expected.map(([name, file, text]) => ({ name, file: join(temp.path, file), text })),
  )
})

test.each([[3], [{ default: 'a' }], [[{ name: 'default' }]], [['a']]])(
  'refuses %j as a chat template',
  async (given) => {
    await using temp = await folderWith({ 'tokenizer_config.json': config(given) })
    const finding = findChatTemplates(temp.path)
    await expect(finding).rejects.toThrow(CheckpointError)
    await expect(finding).rejects.toThrow(
      /tokenizer_config\.json: chat_template.*allowed: a template/,
    )
  },
)

test("reads the operator's file in place of them", async () => {
  await using temp = await folderWith({ 'own.jinja': '{{ messages }}' })
  const file = join(temp.path, 'own.jinja')
  expect(await readChatTemplate(file)).toEqual([{ name: 'default', file, text: '{{ messages }}' }])
  const missing = readChatTemplate(join(temp.path, 'other.jinja'))
  await expect(missing).rejects.toThrow(ConfigError)
  await expect(missing).rejects.toThrow(/--chat-template is .*other\.jinja: there is no such file/)
  await expect(readChatTemplate(temp.path)).rejects.toThrow('expected a file')
})

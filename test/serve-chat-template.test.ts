// Which chat template a server starts with, and that a broken one does not keep it from starting.

import { expect, test } from 'bun:test'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CheckpointError, ConfigError } from '../src/errors.ts'
import { createLogger } from '../src/log.ts'
import { chatTemplateOf } from '../src/serve/chat-template.ts'
import { TempFolder } from './helpers/temp-folder.ts'

const tokenizer = { bosTokenId: 1, eosTokenId: 2, display: (id: number) => `<${id}>` }
const broken = '{% for %}'
const dialogue = {
  ...{ messages: [{ role: 'user', content: 'Hi' }] },
  ...{ addGenerationPrompt: true, continueFinalMessage: false },
}

/** Opens the template of a checkpoint with these files, and notes what the log says. */
async function opened(files: Record<string, string>, own?: string) {
  await using temp = await TempFolder.create()
  await mkdir(join(temp.path, 'additional_chat_templates'))
  for (const [name, text] of Object.entries(files)) await Bun.write(join(temp.path, name), text)
  const lines: string[] = []
  const write = (line: string) => void lines.push(line)
  const log = createLogger({ level: 'info', format: 'json', write })
  const file = own === undefined ? undefined : join(temp.path, own)
  const template = await chatTemplateOf(temp.path, file, tokenizer, log)
  return { text: template?.render(dialogue), lines: lines.map((line) => JSON.parse(line)) }
}

test('the template of the checkpoint, with the tokens of its tokenizer', async () => {
  const files = { 'chat_template.jinja': '{{ bos_token }}{{ messages[0].content }}{{ eos_token }}' }
  expect(await opened(files)).toEqual({ text: '<1>Hi<2>', lines: [] })
  expect(await opened({})).toEqual({ text: undefined, lines: [] })
})

test.each<[string, Record<string, string>, string]>([
  ['one that is no Jinja', { 'chat_template.jinja': broken }, 'is not valid Jinja'],
  [
    'one for tools that is no Jinja',
    { 'chat_template.jinja': 'a', 'additional_chat_templates/tool_use.jinja': broken },
    'the chat template "tool_use" is not valid Jinja',
  ],
  [
    'none with the name default',
    { 'additional_chat_templates/rag.jinja': 'a' },
    'one must be named "default"',
  ],
  [
    'something else in its place',
    { 'tokenizer_config.json': '{ "chat_template": 3 }' },
    'allowed: a template',
  ],
])('%s: the log warns, and the server starts', async (_, files, reason) => {
  const { text, lines } = await opened(files)
  expect(text).toBeUndefined()
  expect(lines).toEqual([
    expect.objectContaining({
      ...{ level: 'warn', reason: expect.stringContaining(reason) },
      message: expect.stringContaining('--chat-template FILE'),
    }),
  ])
})

test("the operator's own wins, and must be right", async () => {
  const files = { 'chat_template.jinja': broken, 'own.jinja': 'own', 'broken.jinja': broken }
  expect(await opened(files, 'own.jinja')).toEqual({ text: 'own', lines: [] })
  await expect(opened(files, 'broken.jinja')).rejects.toThrow(CheckpointError)
  await expect(opened(files, 'other.jinja')).rejects.toThrow(ConfigError)
})

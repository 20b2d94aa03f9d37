// Finds the chat templates of a checkpoint, or reads the one that the operator gives in their place.
// Whether they can be used is the business of src/text.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { TEMPLATE_FOLDER } from '../companion-files.ts'
import { ConfigError } from '../errors.ts'
import { folderExists, readJsonFile, readTextFile } from './files.ts'
import { checkSchema, jsonObject } from './schema.ts'

/** One template as it was found. */
export interface FoundTemplate {
  /** `default`, or what it is for, for example `tool_use`. */
  name: string
  /** Where it stands, for errors. */
  file: string
  /** In Jinja. */
  text: string
}

const DEFAULT_FILE = 'chat_template.jinja'
const expected = 'a template, or a list of { name, template }'

const configSchema = jsonObject({
  chat_template: z
    .union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))], {
      error: expected,
    })
    .nullish(),
})

/**
 * The templates of a checkpoint folder; none is fine. As in transformers, files of their own win over
 * what tokenizer_config.json holds; that has the default one if they have none.
 * Throws CheckpointError for what cannot be read.
 */
export async function findChatTemplates(folder: string): Promise<FoundTemplate[]> {
  const files = await templateFiles(folder)
  if (files.some(isDefault)) return files
  const config = await configTemplates(join(folder, 'tokenizer_config.json'))
  return files.length === 0 ? config : [...config.filter(isDefault), ...files]
}

/** The template of --chat-template. Throws ConfigError if there is no such file. */
export async function readChatTemplate(file: string): Promise<FoundTemplate[]> {
  const text = await readTextFile(file)
  if (text === undefined) throw new ConfigError(`--chat-template is ${file}: there is no such file`)
  return [{ name: 'default', file, text }]
}

function isDefault({ name }: FoundTemplate): boolean {
  return name === 'default'
}

async function templateFiles(folder: string): Promise<FoundTemplate[]> {
  const paths = [{ name: 'default', file: join(folder, DEFAULT_FILE) }]
  const further = join(folder, TEMPLATE_FOLDER)
  if (await folderExists(further)) {
    const names = (await readdir(further)).filter((name) => name.endsWith('.jinja')).sort()
    for (const name of names) {
      paths.push({ name: name.slice(0, -'.jinja'.length), file: join(further, name) })
    }
  }
  const found: FoundTemplate[] = []
  for (const path of paths) {
    const text = await readTextFile(path.file)
    if (text !== undefined) found.push({ ...path, text })
  }
  return found
}

async function configTemplates(file: string): Promise<FoundTemplate[]> {
  const json = await readJsonFile(file)
  if (json === undefined) return []
  const given = checkSchema(configSchema, json, file).chat_template ?? []
  if (typeof given === 'string') return [{ name: 'default', file, text: given }]
  return given.map(({ name, template }) => ({ name, file, text: template }))
}

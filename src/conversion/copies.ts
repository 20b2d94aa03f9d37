// Files of a source that belong to the new model as well: tokenizer, templates, generation settings,
// licence.

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isCompanion, TEMPLATE_FOLDER } from '../companion-files.ts'
import { fileSize, readError } from '../loader/files.ts'

/** A file to be copied. */
export interface Copy {
  bytes: number
  /** Writes it below a folder. Throws CheckpointError if it cannot be read, and errors of the system. */
  write(folder: string): Promise<void>
}

/** Throws CheckpointError for what cannot be read. */
export async function copiesOf(source: string): Promise<Copy[]> {
  const list = (folder: string) =>
    readdir(folder).catch((error) => {
      throw readError(folder, error)
    })
  const names = await list(source)
  const templates = names.includes(TEMPLATE_FOLDER) ? await list(join(source, TEMPLATE_FOLDER)) : []
  const all = [...names, ...templates.map((name) => `${TEMPLATE_FOLDER}/${name}`)]
  return Promise.all(all.filter(isCompanion).map((name) => copyOf(source, name)))
}

async function copyOf(source: string, name: string): Promise<Copy> {
  const path = join(source, name)
  return {
    // A link to nothing is found out by reading it.
    bytes: (await fileSize(path)) ?? 0,
    async write(folder) {
      const content = await readFile(path).catch((error) => {
        throw readError(path, error)
      })
      const target = join(folder, name)
      await mkdir(dirname(target), { recursive: true })
      await writeFile(target, content)
    },
  }
}

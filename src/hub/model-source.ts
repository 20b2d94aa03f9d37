// What the model argument of a command names: a folder of this machine, or a repository of the hub.

import { stat } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { ConfigError } from '../errors.ts'

export type ModelSource =
  /** The folder need not exist. `name` is its last part. */
  | { kind: 'folder'; name: string; folder: string }
  /** `name` is the owner and the repository, `org/name`. */
  | { kind: 'repository'; name: string }

/** Two names of letters, digits, `-`, `_` and `.`; neither begins or ends with `-` or `.`. */
const REPOSITORY = /^\w([\w.-]*\w)?\/\w([\w.-]*\w)?$/

/**
 * A folder that exists is a folder whatever its name; of other names those of the form `org/name`
 * are repositories. Throws ConfigError for a single word that is no folder, which may mean either.
 */
export async function locateModel(model: string): Promise<ModelSource> {
  const folder = resolve(model)
  if (!(await exists(folder))) {
    if (isRepository(model)) return { kind: 'repository', name: model }
    if (/^[^./~\\][^/\\]*$/.test(model)) {
      throw new ConfigError(
        `MODEL is ${JSON.stringify(model)}: there is no such folder as ${folder}, ` +
          `and models of the Hugging Face Hub have an owner: OWNER/${model}`,
      )
    }
  }
  return { kind: 'folder', name: basename(folder), folder }
}

function isRepository(model: string): boolean {
  if (model.length > 96 || /--|\.\./.test(model)) return false
  return REPOSITORY.test(model) && !model.endsWith('.git')
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

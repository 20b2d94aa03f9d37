// `glaze serve --check`: what a server would start with, without taking a port or a GPU.

import { usedBytes } from '../../models/tensors.ts'
import type { ServeOptions } from '../config.ts'
import { openModelFiles } from '../engine/model-files.ts'
import { createLogger } from '../log.ts'
import type { Setting } from '../options.ts'
import { apiKeysOf } from '../serve.ts'
import { bytes } from './bytes.ts'
import { chatTemplateOf } from './chat-template.ts'
import { findModel } from './model.ts'

/**
 * Prints the options and where each comes from, then reads all that a start reads before it opens the
 * GPU: keys, configuration, headers of the weights, tokenizer, chat template. A model of a hub is
 * downloaded for that.
 * Throws OperatorError for what could not be used. Resolves to the exit code.
 */
export async function check(options: ServeOptions, settings: readonly Setting[]): Promise<number> {
  console.log(`${describeSettings(settings)}\n`)
  const log = createLogger({ level: options.logLevel, format: options.logFormat })
  const keys = await apiKeysOf(options, log)
  const { name, folder } = await findModel(options, log)
  await using files = await openModelFiles({ ...options, folder })
  const { config } = files.tensors
  const template = await chatTemplateOf(folder, options.chatTemplate, files.tokenizer, log)
  const names = options.servedModelName ?? [name]
  const { maxLength } = files
  const rows = [
    [
      'model',
      `${names.join(', ')} (${config.modelType}, ${config.layers.length} layers) from ${folder}`,
    ],
    ['weights', `${bytes(usedBytes(files.tensors))} in the files`],
    ['length', maxLength === undefined ? 'unbounded: a state has one size' : `${maxLength} tokens`],
    ['chats', template === undefined ? 'refused: there is no template' : 'by a template'],
    ['keys', keys.length === 0 ? 'none are needed' : `one of ${keys.length} is needed`],
  ]
  console.log(rows.map(([name, text]) => `${name.padEnd(8)} ${text}`).join('\n'))
  console.log('\nall of this can be used; the GPU, its memory and the port were not tried')
  return 0
}

/** Three columns: flag, value, source. */
function describeSettings(settings: readonly Setting[]): string {
  const width = (of: (setting: Setting) => string) =>
    Math.max(...settings.map((setting) => of(setting).length))
  const flags = width(({ flag }) => flag)
  const values = width(({ value }) => value)
  return settings
    .map(({ flag, value, source }) => `${flag.padEnd(flags)}  ${value.padEnd(values)}  ${source}`)
    .join('\n')
}

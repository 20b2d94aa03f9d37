// glaze_conversion.json: what a converted folder tells of its making, and whether it was finetuned.

import { join } from 'node:path'
import { version } from '../../package.json'
import type { ConvertOptions } from '../config-convert.ts'
import { readJsonFile } from '../loader/files.ts'
import type { ConversionPlan } from './plan.ts'
import type { Json } from './source.ts'

export const RECORD_FILE = 'glaze_conversion.json'

/** The content of the file. @param source what was converted */
export function recordOf(plan: ConversionPlan, source: string, options: ConvertOptions): Json {
  const names = (isCopy: boolean) =>
    plan.tensors.filter(({ from }) => (from !== undefined) === isCopy).map(({ name }) => name)
  return {
    glaze: version,
    source,
    source_model_type: plan.source.config.modelType,
    to: options.to,
    model_type: plan.config.model_type,
    seed: options.seed,
    dtype: options.dtype,
    finetuned: false,
    note:
      'The new weights are random: this model needs a finetune, until then it writes noise. ' +
      'Afterwards set finetuned to true, or delete this file.',
    copied: listOf(names(true)),
    new: listOf(names(false)),
    dropped: listOf(plan.dropped),
  }
}

/**
 * What to tell who loads a model of this folder, if it was converted and not finetuned.
 * Throws CheckpointError if there is a record that cannot be read.
 */
export async function untrainedWarning(folder: string): Promise<string | undefined> {
  const file = join(folder, RECORD_FILE)
  const record = await readJsonFile(file)
  if (typeof record !== 'object' || record === null) return undefined
  if (!('finetuned' in record) || record.finetuned !== false) return undefined
  return (
    'this model was converted and not finetuned, it writes noise; ' +
    `once it is finetuned, set finetuned to true in ${file} or delete the file`
  )
}

/** How many, and how many of each name, with * for the layer. */
function listOf(names: readonly string[]): Json {
  const counts: Record<string, number> = {}
  for (const name of names) {
    const pattern = name.replace(/\.layers\.\d+\./, '.layers.*.')
    counts[pattern] = (counts[pattern] ?? 0) + 1
  }
  return { tensors: names.length, names: counts }
}

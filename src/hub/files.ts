// Which files of a repository a server reads: never those that take other people's code to open.

import { z } from 'zod'
import { isCompanion } from '../companion-files.ts'
import { INDEX, SHARD_NAME, WEIGHTS } from '../weight-files.ts'
import { HubError } from './hub-error.ts'

const CONFIGURATION = ['config.json', 'glaze_conversion.json']

const indexSchema = z.object({
  weight_map: z.record(z.string(), z.string().regex(SHARD_NAME)),
})

/** Small files to fetch, the index of the weights among them. */
export function smallFiles(names: readonly string[], withoutWeights: boolean): string[] {
  const wanted = withoutWeights ? CONFIGURATION : [...CONFIGURATION, INDEX]
  return names.filter((name) => wanted.includes(name) || isCompanion(name))
}

/**
 * Weight files to fetch.
 * @param index content of the index, if the repository has one
 * @throws HubError if there are none, saying what was found instead
 */
export function weightFiles(
  repository: string,
  names: readonly string[],
  index: string | undefined,
): string[] {
  if (index !== undefined) {
    const shards = shardsOf(index)
    if (shards === undefined) throw new HubError(`${repository}: ${INDEX} is no list of shards`)
    const missing = shards.find((shard) => !names.includes(shard))
    if (missing === undefined) return shards
    throw new HubError(`${repository}: ${INDEX} lists ${missing}, which the repository lacks`)
  }
  if (names.includes(WEIGHTS)) return [WEIGHTS]
  const others = names.filter((name) => /\.(bin|pt|pth|safetensors|gguf|h5|msgpack)$/.test(name))
  const found = others.length === 0 ? 'no weights at all' : others.slice(0, 3).join(', ')
  throw new HubError(
    `${repository} has neither ${WEIGHTS} nor ${INDEX}, but ${found}; ` +
      'save the model as safetensors (save_pretrained of transformers does) and serve that folder',
  )
}

/** Weight files that a whole download has, by the content of its index. */
export function shardsOf(index: string | undefined): string[] | undefined {
  if (index === undefined) return [WEIGHTS]
  try {
    return [...new Set(Object.values(indexSchema.parse(JSON.parse(index)).weight_map))].sort()
  } catch {
    return undefined
  }
}

// A checkpoint folder in Hugging Face layout: finds and checks its files, opens the weights.
// What the configuration and the tensors mean is the models' business.

import { join } from 'node:path'
import { z } from 'zod'
import { CheckpointError } from '../errors.ts'
import { INDEX, SHARD_NAME, WEIGHTS } from '../weight-files.ts'
import { fileSize, folderExists, readJsonFile } from './files.ts'
import { type GenerationConfig, parseGenerationConfig } from './generation-config.ts'
import { openSafetensors, type SafetensorsFile, type StoredTensor } from './safetensors.ts'
import { checkSchema, jsonObject } from './schema.ts'

/** Weights of other formats, which running other people's code would take to read. */
const PICKLED_WEIGHTS = ['pytorch_model.bin', 'pytorch_model.bin.index.json', 'consolidated.00.pth']

const indexSchema = jsonObject({
  weight_map: z.record(
    z.string(),
    z.string({ error: 'the name of a .safetensors file in this folder' }).regex(SHARD_NAME, {
      error: 'the name of a .safetensors file in this folder',
    }),
    { error: 'an object from tensor names to file names' },
  ),
})

/** Everything found in a checkpoint folder. Disposing of it closes the weight files. */
export class Checkpoint {
  readonly #files: readonly SafetensorsFile[]

  constructor(
    readonly folder: string,
    /** Path and parsed content of config.json. */
    readonly configFile: string,
    readonly config: unknown,
    readonly generationConfig: GenerationConfig,
    /** Paths, undefined if the folder lacks the file. */
    readonly tokenizerFile: string | undefined,
    readonly tokenizerConfigFile: string | undefined,
    /**
     * The file that says which tensors there are, for errors: the index or the only weight file, or
     * config.json if weights were not wanted.
     */
    readonly weightsFile: string,
    readonly tensors: ReadonlyMap<string, StoredTensor>,
    files: readonly SafetensorsFile[],
  ) {
    this.#files = files
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closeAll(this.#files)
  }
}

/** What of a checkpoint is wanted. */
export interface CheckpointOptions {
  /** Leaves weight files alone, which the folder need not have then. */
  withoutWeights?: boolean
}

/**
 * Opens a checkpoint. Headers of the weight files are read and checked, their data is not.
 * Throws CheckpointError naming the file at fault; nothing stays open then.
 */
export async function openCheckpoint(
  folder: string,
  { withoutWeights = false }: CheckpointOptions = {},
): Promise<Checkpoint> {
  if (!(await folderExists(folder))) throw new CheckpointError(folder, 'there is no such folder')
  const configFile = join(folder, 'config.json')
  const config = await readJsonFile(configFile)
  if (config === undefined) {
    throw new CheckpointError(folder, 'has no config.json; is this a checkpoint folder?')
  }
  const generationFile = join(folder, 'generation_config.json')
  const generationConfig = parseGenerationConfig(
    await readJsonFile(generationFile),
    generationFile,
    config,
    configFile,
  )
  const tokenizerFile = await pathIfThere(join(folder, 'tokenizer.json'))
  const tokenizerConfigFile = await pathIfThere(join(folder, 'tokenizer_config.json'))
  const { weightsFile, files, tensors } = withoutWeights
    ? { weightsFile: configFile, files: [], tensors: new Map() }
    : await openWeights(folder)
  return new Checkpoint(
    folder,
    configFile,
    config,
    generationConfig,
    tokenizerFile,
    tokenizerConfigFile,
    weightsFile,
    tensors,
    files,
  )
}

interface Weights {
  weightsFile: string
  files: SafetensorsFile[]
  tensors: Map<string, StoredTensor>
}

async function openWeights(folder: string): Promise<Weights> {
  const indexFile = join(folder, INDEX)
  const index = await readJsonFile(indexFile)
  if (index !== undefined) return openShards(folder, indexFile, index)
  const path = join(folder, WEIGHTS)
  const file = await openSafetensors(path)
  if (file === undefined) throw await missingWeights(folder)
  return { weightsFile: path, files: [file], tensors: new Map(file.tensors) }
}

async function openShards(folder: string, indexFile: string, json: unknown): Promise<Weights> {
  const weightMap = new Map(Object.entries(checkSchema(indexSchema, json, indexFile).weight_map))
  const shardNames = [...new Set(weightMap.values())].sort()
  if (!shardNames.includes(WEIGHTS) && (await fileSize(join(folder, WEIGHTS))) !== undefined) {
    throw new CheckpointError(
      folder,
      `has both ${WEIGHTS} and ${INDEX}, which does not list it; remove one of them`,
    )
  }
  const files: SafetensorsFile[] = []
  try {
    for (const name of shardNames) {
      const file = await openSafetensors(join(folder, name))
      if (file === undefined) {
        throw new CheckpointError(indexFile, `lists the shard ${name}, which is missing`)
      }
      files.push(file)
    }
    return {
      weightsFile: indexFile,
      files,
      tensors: joinShards(folder, indexFile, weightMap, files),
    }
  } catch (error) {
    await closeAll(files)
    throw error
  }
}

/** All tensors of all shards; each must be where the index says and nowhere else. */
function joinShards(
  folder: string,
  indexFile: string,
  weightMap: ReadonlyMap<string, string>,
  files: readonly SafetensorsFile[],
): Map<string, StoredTensor> {
  const tensors = new Map<string, StoredTensor>()
  for (const file of files) {
    for (const [name, tensor] of file.tensors) {
      const other = tensors.get(name)
      if (other !== undefined) {
        throw new CheckpointError(file.path, `tensor ${name} is in ${other.file} as well`)
      }
      if (!weightMap.has(name)) {
        throw new CheckpointError(file.path, `tensor ${name} is not listed in ${INDEX}`)
      }
      tensors.set(name, tensor)
    }
  }
  for (const [name, shard] of weightMap) {
    const expected = join(folder, shard)
    const tensor = tensors.get(name)
    if (tensor === undefined) {
      throw new CheckpointError(indexFile, `tensor ${name} is not in ${shard}, its shard`)
    }
    if (tensor.file !== expected) {
      throw new CheckpointError(
        indexFile,
        `tensor ${name}: found in ${tensor.file}, but listed for ${shard}`,
      )
    }
  }
  return tensors
}

async function missingWeights(folder: string): Promise<CheckpointError> {
  for (const name of PICKLED_WEIGHTS) {
    if ((await fileSize(join(folder, name))) !== undefined) {
      return new CheckpointError(
        join(folder, name),
        `pickled weights are not read; save the model as ${WEIGHTS} (save_pretrained does)`,
      )
    }
  }
  return new CheckpointError(folder, `has neither ${WEIGHTS} nor ${INDEX}`)
}

async function pathIfThere(path: string): Promise<string | undefined> {
  return (await fileSize(path)) === undefined ? undefined : path
}

async function closeAll(files: readonly SafetensorsFile[]): Promise<void> {
  await Promise.all(files.map((file) => file[Symbol.asyncDispose]()))
}

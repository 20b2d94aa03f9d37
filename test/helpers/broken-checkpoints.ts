// Checkpoint folders that must be refused, each with the words that its one-line error has to have:
// the file at fault, what was found, what is allowed.

import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { brokenConfigs } from './broken-configs.ts'
import { brokenFiles, brokenTensors } from './broken-weights.ts'
import { writeJson } from './checkpoints.ts'
import { type BrokenCheckpoint, damaged, WEIGHTS } from './damage.ts'

const brokenFolders: BrokenCheckpoint[] = [
  {
    name: 'no such folder',
    make: async () => {},
    message: /checkpoint: there is no such folder/,
  },
  {
    name: 'a file in place of the folder',
    make: (folder) => writeFile(folder, 'weights'),
    message: /checkpoint: is a file; a checkpoint is a folder/,
  },
  damaged('no config.json', /has no config\.json/, (folder) => rm(join(folder, 'config.json'))),
  damaged('config.json cut short', /config\.json: is not valid JSON/, (folder) =>
    writeFile(join(folder, 'config.json'), '{"model_type": "gla", '),
  ),
  damaged('config.json is a list', /config\.json: found \["gla"\]; allowed: a JSON/, (folder) =>
    writeJson(join(folder, 'config.json'), ['gla']),
  ),
  damaged('no weights', /has neither model\.safetensors nor model\.safetensors\.index/, (folder) =>
    rm(join(folder, WEIGHTS)),
  ),
  damaged(
    'pickled weights only',
    /pytorch_model\.bin: pickled .* as model\.safetensors/,
    (folder) => rename(join(folder, WEIGHTS), join(folder, 'pytorch_model.bin')),
  ),
  damaged(
    'a folder named model.safetensors',
    /model\.safetensors: .* expected a file/,
    async (f) => {
      await rm(join(f, WEIGHTS))
      await mkdir(join(f, WEIGHTS))
    },
  ),
  damaged(
    'a temperature in words',
    /generation_config\.json: temperature: found "hot"; allowed: a number from 0/,
    (folder) => writeJson(join(folder, 'generation_config.json'), { temperature: 'hot' }),
  ),
  damaged(
    'a negative end-of-sequence id',
    /generation_config\.json: eos_token_id\.1: found -1; allowed: a whole number from 0/,
    (folder) => writeJson(join(folder, 'generation_config.json'), { eos_token_id: [2, -1] }),
  ),
]

/** All of them. */
export const brokenCheckpoints: readonly BrokenCheckpoint[] = [
  ...brokenFolders,
  ...brokenConfigs,
  ...brokenFiles,
  ...brokenTensors,
]

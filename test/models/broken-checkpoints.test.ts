// Every broken checkpoint ends in one clear line, whatever part of the loader finds it out.

import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { parseModelConfig } from '../../models/config.ts'
import { mapTensors } from '../../models/tensors.ts'
import { WeightUploader } from '../../models/weights.ts'
import { CheckpointError } from '../../src/errors.ts'
import { openCheckpoint } from '../../src/loader/checkpoint.ts'
import { readVector } from '../../src/loader/tensor-source.ts'
import { brokenCheckpoints } from '../helpers/broken-checkpoints.ts'
import { smallCheckpoint } from '../helpers/checkpoints.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

const gpu = await openTestGpu()

/** What a server does with the weights of a checkpoint: float16 on the GPU, vectors float32. */
async function load(folder: string): Promise<number> {
  await using checkpoint = await openCheckpoint(folder)
  mapTensors(parseModelConfig(checkpoint.config, checkpoint.configFile), checkpoint)
  const weights = new WeightUploader(gpu.buffers, 'f16')
  for (const tensor of checkpoint.tensors.values()) {
    if (tensor.shape.length === 1) await readVector(tensor)
    else await weights.stacked(tensor.name, [tensor])
  }
  await weights.finish()
  return checkpoint.tensors.size
}

test.each([
  ['gla', 28],
  ['gsa', 24],
] as const)('the sound %s checkpoint loads', async (kind, tensorCount) => {
  await using temp = await TempFolder.create()
  await smallCheckpoint(temp.path, { kind })
  expect(await load(temp.path)).toBe(tensorCount)
})

test('there are enough of them, under different names', () => {
  const names = new Set(brokenCheckpoints.map(({ name }) => name))
  expect(names.size).toBe(brokenCheckpoints.length)
  expect(names.size).toBeGreaterThanOrEqual(35)
})

test.each([...brokenCheckpoints])('$name', async ({ make, message }) => {
  await using temp = await TempFolder.create()
  const folder = join(temp.path, 'checkpoint')
  await make(folder)
  const error = await load(folder).then(
    () => undefined,
    (reason) => reason,
  )
  expect(error).toBeInstanceOf(CheckpointError)
  expect(error.message).toMatch(message)
  expect(error.message).not.toContain('\n')
  expect(error.file).toStartWith(folder)
})

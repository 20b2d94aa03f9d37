// Steps are encoded from what exists: nothing is created on the device while they run, and what
// encoding leaves behind is released.
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { loadTestModel, shipped } from '../helpers/model.ts'

const CREATORS = [
  'createBuffer',
  'createBindGroup',
  'createBindGroupLayout',
  'createPipelineLayout',
  'createShaderModule',
  'createComputePipeline',
  'createComputePipelineAsync',
] as const

test('a step creates no pipelines, bind groups or buffers', async () => {
  await using model = await loadTestModel(join(shipped, 'tales-gla-5m'), 4, 128)
  const { device } = model.gpu
  const bytes = model.buffers.bytes
  const created: string[] = []
  let submits = 0
  for (const name of CREATORS) {
    const original = device[name].bind(device) as (...args: unknown[]) => unknown
    Object.assign(device, {
      [name]: (...args: unknown[]) => {
        created.push(name)
        return original(...args)
      },
    })
  }
  // Native objects that a step cannot do without are given back after it.
  const released = { pass: 0, commands: 0 }
  const { pass, commands } = model.gpu.release
  Object.assign(model.gpu.release, {
    pass: (...args: Parameters<typeof pass>) => {
      released.pass++
      pass(...args)
    },
    commands: (...args: Parameters<typeof commands>) => {
      released.commands++
      commands(...args)
    },
  })
  const submit = device.queue.submit.bind(device.queue)
  device.queue.submit = (buffers) => {
    submits++
    return submit(buffers)
  }
  const sampling = { temperature: 1, topP: 0.9, topK: 40, minP: 0, seed: 1 }
  await Promise.all(
    [1, 3, 100, 300, 7, 64].map(async (length, i) => {
      const prompt = Array.from({ length }, (_, position) => 3 + ((position * 31 + i) % 4000))
      const request = { id: `r${i}`, prompt, maxTokens: 8, sampling, stop: [], promptLogprobs: 1 }
      for await (const _ of model.engine.submit(request)) {
        // Only what the steps create matters.
      }
    }),
  )
  expect(submits).toBeGreaterThan(10)
  expect(created).toEqual([])
  expect(released).toEqual({ pass: submits, commands: submits })
  expect(model.buffers.bytes).toBe(bytes)
}, 60_000)

// Dispatches of a layer: each costs a GPU microseconds, which count when one sequence decodes.
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import type { StepCounts } from '../../src/gpu/program.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { fixtures, openTestModel, type TestModel } from '../helpers/model.ts'

const gpu = await openTestGpu()

/** Kernels that a step runs, in order. */
function kernelsOf({ decoder }: TestModel, counts: Partial<StepCounts>): string[] {
  const none = { tokens: 0, decodes: 0, segments: 0, chunks: 0, logitRows: 0, samples: 0 }
  return decoder.program.dispatches
    .filter(({ grid }) => grid({ ...none, ...counts }) !== undefined)
    .map(({ pipeline }) => pipeline.label.split('.')[0])
}

const decode = { tokens: 1, decodes: 1, segments: 1, logitRows: 1 }
const prompt = { tokens: 70, segments: 1, chunks: 2, logitRows: 1 }

describe.each([
  { name: 'gla', step: ['gla_step'], forPrompts: ['prepare', 'chunk_output'] },
  { name: 'gsa', step: ['gsa_step', 'norm'], forPrompts: ['prepare', 'slot_softmax'] },
])('$name', ({ name, step, forPrompts }) => {
  test('one decoding sequence, then a prompt', async () => {
    const model = await openTestModel(gpu, join(fixtures, name), 'subgroup')
    const layer = ['matvec', ...step, 'matvec', 'matvec', 'matvec']
    const layers = model.config.layers.flatMap(() => layer)
    expect(kernelsOf(model, decode)).toEqual(['embed', 'norm', ...layers, 'norm', 'matvec'])

    const prompts = kernelsOf(model, prompt)
    expect(prompts).not.toContain(step[0])
    for (const kernel of forPrompts) expect(prompts).toContain(kernel)
    // A step of both kinds takes both ways.
    const both = kernelsOf(model, { ...prompt, tokens: 71, decodes: 1, segments: 2 })
    for (const kernel of [step[0], ...forPrompts]) expect(both).toContain(kernel)
  })
})

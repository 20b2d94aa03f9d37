// The check of the matrix products: it passes what is right and fails what is not.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { TempFolder } from '../helpers/temp-folder.ts'
import { BindingNotes } from './bindings.ts'
import { dot4 } from './ceilings.ts'
import { checkProducts, spread } from './check-products.ts'
import { type BenchModel, loadForBench } from './load.ts'
import { readLabel } from './step-dispatches.ts'
import { decodeWorkload, promptWorkload, StepBench, type Workload } from './step-times.ts'
import { GpuTimer } from './timing.ts'
import { writeTinyModel } from './tiny.ts'

const ADAPTER = process.env.GLAZE_TEST_ADAPTER || 'auto'

test('bytes of a word multiply as signed numbers', () => {
  expect(dot4(0x7f80_01ff | 0, 0x7f80_02ff | 0)).toBe(127 * 127 + 128 * 128 + 2 + 1)
  expect(dot4(0, -1)).toBe(0)
})

test.each([
  [10, 3, [0, 5, 9]],
  [2, 3, [0, 1]],
  [1, 12, [0]],
])('of %d places %d', (total, count, places) => {
  expect(spread(total, count)).toEqual(places)
})

test('labels of pipelines say what they were made of', () => {
  const { kernel, params } = readLabel('norm.wgsl(DIM=256, ROWS=logit_rows)')
  expect(kernel).toBe('norm')
  expect([...params]).toEqual([
    ['DIM', '256'],
    ['ROWS', 'logit_rows'],
  ])
  expect(readLabel('plain').params.size).toBe(0)
})

test('a prompt in slices ends where it should', () => {
  const { steps } = promptWorkload(300, 128, 4096)
  expect(
    steps.map(({ times, segments: [{ tokens, position, logits }] }) => [
      times,
      tokens.length,
      position,
      logits,
    ]),
  ).toEqual([
    [2, 128, 172, 'none'],
    [1, 44, 256, 'last'],
  ])
  expect(promptWorkload(128, 128, 4096).steps).toHaveLength(1)
})

// With int4 weights the head is int8.
describe.each(['none', 'int4'])('quantization %s', (quantization) => {
  let temp: TempFolder
  let bench: BenchModel
  let notes: BindingNotes
  let steps: StepBench

  beforeAll(async () => {
    temp = await TempFolder.create()
    await writeTinyModel(temp.path)
    notes = new BindingNotes()
    const options = { folder: temp.path, adapter: ADAPTER, kernels: 'auto', dtype: 'auto' }
    bench = await loadForBench({ ...options, quantization, maxNumSeqs: 4 })
    const { gpu, buffers } = bench.model
    steps = await StepBench.create(bench.model, await GpuTimer.create(gpu, buffers, false))
  }, 60_000)

  afterAll(async () => {
    notes[Symbol.dispose]()
    await bench[Symbol.asyncDispose]()
    await temp[Symbol.asyncDispose]()
  })

  const workloads: Workload[] = [
    decodeWorkload(1),
    decodeWorkload(3),
    promptWorkload(90, 512, 4096),
  ]

  test.each(workloads.map((workload) => [workload.name, workload] as const))(
    '%s is right',
    async (_, workload) => {
      const counts = steps.write(workload.steps[0].segments)
      const checks = await checkProducts(bench.model, notes, counts)
      expect(checks.map(({ N, K }) => [N, K])).toEqual(
        expect.arrayContaining([
          ...[
            [400, 128],
            [128, 128],
            [512, 128],
            [128, 256],
            [4096, 128],
          ],
        ]),
      )
    },
    60_000,
  )

  test('a result elsewhere is noticed', async () => {
    const counts = steps.write(decodeWorkload(1).steps[0].segments)
    const { buffers } = bench.model
    const wrong = { buffer: await buffers.upload('wrong', new Float32Array(2 ** 16).fill(1e3)) }
    const of = (group: GPUBindGroup) => {
      const { y_bytes, y_scales, ...bindings } = notes.of(group)
      return { ...bindings, y: wrong }
    }
    const misled = { of } as unknown as BindingNotes
    expect(checkProducts(bench.model, misled, counts)).rejects.toThrow(
      /row 0, output 0 is 1000, right is/,
    )
  })
})

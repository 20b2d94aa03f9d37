// A device for kernel tests: checked, on whatever adapter there is (software without a GPU).
import { afterAll, setDefaultTimeout } from 'bun:test'
import { type BufferRange, Buffers } from '../../src/gpu/buffers.ts'
import { openGpu } from '../../src/gpu/device.ts'
import { Pipelines } from '../../src/gpu/pipelines.ts'
import { SMALL_PRODUCTS } from '../../src/gpu/products.ts'
import { type Plan, Program } from '../../src/gpu/program.ts'
import { type Segment, StepBuffer, type StepLimits } from '../../src/gpu/step.ts'
import type { Tuning, Variant } from '../../src/gpu/tuning.ts'

/** Both variants of the kernels, for describe.each. */
export const variants: Variant[] = ['plain', 'subgroup']

/** Opens a device that lives until the test file ends. */
export async function openTestGpu() {
  // Software drivers compile slowly; bun's default of 5 s is for other tests.
  setDefaultTimeout(120_000)
  const gpu = await openGpu({ adapter: process.env.GLAZE_TEST_ADAPTER || 'auto', checked: true })
  const buffers = new Buffers(gpu.device, gpu.limits.maxBindingSize)
  const pipelines = new Pipelines(gpu.device)
  afterAll(() => {
    buffers[Symbol.dispose]()
    gpu.destroy()
  })
  const { device } = gpu

  return {
    gpu,
    buffers,
    pipelines,
    tuning: (
      variant: Variant,
      weights: Tuning['weights'] = 'f32',
      invariant = variant === 'plain',
    ): Tuning => ({
      variant,
      weights,
      invariant,
      subgroupSizesVary: gpu.adapter.subgroupMinSize !== gpu.adapter.subgroupMaxSize,
      leastSubgroup: gpu.adapter.subgroupMinSize,
      deferNorms: !invariant,
      products: SMALL_PRODUCTS,
    }),
    /** A buffer that holds `data`. */
    async input(data: ArrayLike<number>): Promise<BufferRange> {
      return { buffer: await buffers.upload('input', Float32Array.from(data)) }
    },
    /** A buffer of `length` floats, all NaN, so that anything left unwritten shows. */
    async output(length: number): Promise<BufferRange> {
      return { buffer: await buffers.upload('output', new Float32Array(length).fill(Number.NaN)) }
    },
    /** A step buffer holding these segments. */
    async step(segments: Segment[], limits?: Partial<StepLimits>) {
      const tokens = segments.reduce((sum, segment) => sum + segment.tokens.length, 0)
      const step = await StepBuffer.create(buffers, {
        tokens,
        segments: segments.length,
        logitRows: tokens,
        ...limits,
      })
      return { tables: step.tables, counts: step.write(device.queue, segments) }
    },
    /** Runs the plans once; a validation error or a lost device fails the test. */
    async run(plans: Plan[], counts: Parameters<Program['encode']>[1]): Promise<void> {
      const program = await Program.compile(pipelines, plans)
      device.pushErrorScope('validation')
      const encoder = device.createCommandEncoder()
      const pass = encoder.beginComputePass()
      program.encode(pass, counts)
      pass.end()
      device.queue.submit([encoder.finish()])
      const error = await device.popErrorScope()
      if (error) throw new Error(error.message)
    },
    read: (range: BufferRange) => buffers.readFloats(range),
  }
}

/** `count` prompt segments with these lengths, or decode rows where the length is 'decode'. */
export function segmentsOf(
  lengths: (number | 'decode')[],
  position: (index: number) => number = () => 0,
): Segment[] {
  return lengths.map((length, index) => ({
    slot: index,
    tokens: new Array(length === 'decode' ? 1 : length).fill(0),
    position: position(index),
    logits: 'none',
    decode: length === 'decode',
  }))
}

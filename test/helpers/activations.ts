// Activations of either type for kernel tests.
import { allocateActivations } from '../../src/gpu/activations.ts'
import type { Quantized } from '../oracle/int8.ts'
import type { TestGpu } from './gated.ts'

/** Rows of int8 activations, poisoned: bytes of NaN words and NaN scales. */
export async function int8Output(gpu: TestGpu, rows: number, dim: number) {
  const range = (_: string, bytes: number) => gpu.output(bytes / 4)
  const made = await allocateActivations(range, 'output', 'int8', rows, dim)
  if (made.type !== 'int8') throw new Error('not int8')
  return made
}

/** What kernels wrote into them. */
export async function readInt8(
  gpu: TestGpu,
  { range, scales, stride }: Awaited<ReturnType<typeof int8Output>>,
): Promise<Quantized> {
  return {
    bytes: new Int8Array(await gpu.buffers.read(range)),
    scales: await gpu.read(scales),
    stride,
  }
}

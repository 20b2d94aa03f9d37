// Checks at start that a device does what its driver promises.
import { DeviceError } from '../errors.ts'
import { Buffers } from './buffers.ts'
import { Pipelines } from './pipelines.ts'
import type { ParamValues, WgslSource } from './wgsl.ts'

/**
 * Runs a kernel and looks at what it wrote: Dawn's null backend accepts everything and computes
 * nothing.
 * @throws DeviceError if nothing was computed
 */
export async function proveItComputes(device: GPUDevice, adapterName: string): Promise<void> {
  const word = 0x91a2e
  const [seen] = await runKernel(
    device,
    1,
    proof(`@group(0) @binding(0) var<storage, read_write> seen: array<u32>;
    @compute @workgroup_size(1) fn main() { seen[0] = ${word}u; }`),
  )
  if (seen === word) return
  throw new DeviceError(`adapter ${adapterName} runs no kernels: wrote ${word}, read back ${seen}`)
}

/**
 * True if subgroups are made of consecutive invocations and are full, as the reductions of the
 * subgroup kernels take for granted and WGSL does not promise.
 */
export async function subgroupsAreRegular(device: GPUDevice): Promise<boolean> {
  const seen = await runKernel(
    device,
    128,
    proof(`enable subgroups;
    @group(0) @binding(0) var<storage, read_write> seen: array<u32>;
    @compute @workgroup_size(128)
    fn main(@builtin(local_invocation_index) index: u32,
            @builtin(subgroup_invocation_id) lane: u32,
            @builtin(subgroup_size) size: u32) {
      let first = subgroupMin(index);
      let last = subgroupMax(index);
      let full = last - first + 1 == min(size, 128);
      seen[index] = select(0u, 1u, full && lane == index % size && first == index - lane);
    }`),
  )
  return seen.every((one) => one === 1)
}

const proof = (text: string): WgslSource => ({ name: 'prove.wgsl', text, includes: {} })

/** Runs one workgroup of a kernel that writes `words` words to its binding `seen`. */
export async function runKernel(
  device: GPUDevice,
  words: number,
  kernel: WgslSource,
  params: ParamValues = {},
): Promise<Uint32Array> {
  using buffers = new Buffers(device, words * 4)
  const pipelines = new Pipelines(device)
  const pipeline = await pipelines.get(kernel, params)
  const seen = { buffer: await buffers.create('seen', words * 4) }
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  pass.setPipeline(pipeline.handle)
  pass.setBindGroup(0, pipelines.bind(pipeline, { seen }))
  pass.dispatchWorkgroups(1)
  pass.end()
  device.queue.submit([encoder.finish()])
  return new Uint32Array(await buffers.read(seen))
}

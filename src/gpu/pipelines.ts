// Compiles kernels: one pipeline for each kernel and set of parameter values, made once.
import { DeviceError } from '../errors.ts'
import type { BufferRange } from './buffers.ts'
import {
  type Binding,
  type ParamValues,
  preprocess,
  reflectBindings,
  type WgslSource,
} from './wgsl.ts'

/** A compiled variant of a kernel. */
export interface Pipeline {
  label: string
  handle: GPUComputePipeline
  layout: GPUBindGroupLayout
  bindings: Binding[]
}

const SHADER_STAGE_COMPUTE = 4

export class Pipelines {
  readonly #compiled = new Map<string, Promise<Pipeline>>()

  constructor(readonly device: GPUDevice) {}

  /** Number of variants compiled so far. */
  get size(): number {
    return this.#compiled.size
  }

  /**
   * The pipeline of a kernel for these parameter values; compiled on first use.
   * @throws WgslError for wrong parameters, DeviceError with the compiler's message.
   */
  get(kernel: WgslSource, params: ParamValues): Promise<Pipeline> {
    const label = variantLabel(kernel.name, params)
    let pipeline = this.#compiled.get(label)
    if (!pipeline) {
      pipeline = this.#compile(label, kernel, params)
      this.#compiled.set(label, pipeline)
    }
    return pipeline
  }

  /** Binds buffers by name. @throws DeviceError if a name is missing or not in the kernel. */
  bind(pipeline: Pipeline, buffers: Readonly<Record<string, BufferRange>>): GPUBindGroup {
    const names = pipeline.bindings.map((binding) => binding.name)
    const given = Object.keys(buffers)
    const wrong = [
      ...names.filter((name) => !given.includes(name)).map((name) => `missing ${name}`),
      ...given.filter((name) => !names.includes(name)).map((name) => `unknown ${name}`),
    ]
    if (wrong.length > 0) throw new DeviceError(`${pipeline.label}: bindings: ${wrong.join(', ')}`)
    return this.device.createBindGroup({
      label: pipeline.label,
      layout: pipeline.layout,
      entries: pipeline.bindings.map(({ name, index }) => ({
        binding: index,
        resource: { ...buffers[name] },
      })),
    })
  }

  async #compile(label: string, kernel: WgslSource, params: ParamValues): Promise<Pipeline> {
    const code = preprocess(kernel, params)
    const bindings = reflectBindings(code)
    const { device } = this
    // getCompilationInfo() ends the process under bun-webgpu 0.1.7; the error scope has the text.
    device.pushErrorScope('validation')
    const module = device.createShaderModule({ label, code })
    const layout = device.createBindGroupLayout({
      label,
      entries: bindings.map(({ index, type }) => ({
        binding: index,
        visibility: SHADER_STAGE_COMPUTE,
        buffer: { type },
      })),
    })
    const descriptor = {
      label,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main' },
    }
    const invalid = await device.popErrorScope()
    if (invalid) throw compileError(label, invalid.message, code)
    try {
      const handle = await device.createComputePipelineAsync(descriptor)
      return { label, handle, layout, bindings }
    } catch (error) {
      throw compileError(label, String(error), code)
    }
  }
}

/** For example `norm(DIM=256, VARIANT=plain)`; also the cache key. */
function variantLabel(name: string, params: ParamValues): string {
  const list = Object.keys(params)
    .sort()
    .map((key) => `${key}=${params[key]}`)
  return `${name}(${list.join(', ')})`
}

function compileError(label: string, message: string, code: string): DeviceError {
  const lines = code.split('\n')
  const marked = [...message.matchAll(/:(\d+):\d+/g)]
    .map(([, line]) => `  ${line}: ${lines[Number(line) - 1] ?? ''}`)
    .slice(0, 3)
  return new DeviceError(`kernel ${label} does not compile: ${message}\n${marked.join('\n')}`)
}

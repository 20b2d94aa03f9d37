// A step of a model as data: planned dispatches, compiled once into pipelines and bind groups,
// then encoded again and again with nothing created on the way.
import type { BufferRange } from './buffers.ts'
import type { Pipeline, Pipelines } from './pipelines.ts'
import type { ParamValues, WgslSource } from './wgsl.ts'

/** What a step holds; the head of the step buffer and the sizes of its dispatches. */
export interface StepCounts {
  /** Rows of the packed token axis: decode rows first, then prompt slices end to end. */
  tokens: number
  /** Segments of one token that continue a sequence by the recurrent kernels: segments 0…decodes-1. */
  decodes: number
  /** Runs of tokens of one sequence each, decode rows included. */
  segments: number
  /** Pieces of at most 64 tokens of the prompt segments. */
  chunks: number
  /** Token rows whose logits are wanted. */
  logitRows: number
  /** Rows of logits that are sampled or scored. */
  samples: number
}

/** Workgroups in x, y, z; undefined leaves the dispatch out of this step. */
export type Grid = (counts: StepCounts) => readonly [number, number, number] | undefined

/** One dispatch before compilation. */
export interface Plan {
  kernel: WgslSource
  params: ParamValues
  bindings: Readonly<Record<string, BufferRange>>
  grid: Grid
}

interface Dispatch {
  pipeline: Pipeline
  bindGroup: GPUBindGroup
  grid: Grid
}

/** A compiled list of dispatches. */
export class Program {
  private constructor(readonly dispatches: readonly Dispatch[]) {}

  /** Compiles all variants side by side and binds their buffers. */
  static async compile(pipelines: Pipelines, plans: readonly Plan[]): Promise<Program> {
    const compiled = await Promise.all(plans.map((plan) => pipelines.get(plan.kernel, plan.params)))
    return new Program(
      plans.map((plan, i) => ({
        pipeline: compiled[i],
        bindGroup: pipelines.bind(compiled[i], plan.bindings),
        grid: plan.grid,
      })),
    )
  }

  /** Records the dispatches of one step into an open compute pass. */
  encode(pass: GPUComputePassEncoder, counts: StepCounts): void {
    let current: GPUComputePipeline | undefined
    for (const { pipeline, bindGroup, grid } of this.dispatches) {
      const size = grid(counts)
      if (size === undefined || size[0] * size[1] * size[2] === 0) continue
      if (pipeline.handle !== current) {
        current = pipeline.handle
        pass.setPipeline(current)
      }
      pass.setBindGroup(0, bindGroup)
      pass.dispatchWorkgroups(size[0], size[1], size[2])
    }
  }
}

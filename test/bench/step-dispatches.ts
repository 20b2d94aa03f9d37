// The dispatches of a step, by what they compute: those of one kernel and shape are one kind.
import type { Program, StepCounts } from '../../src/gpu/program.ts'

export type Dispatch = Program['dispatches'][number]

/** A dispatch with its size in one step. */
export interface ActiveDispatch {
  dispatch: Dispatch
  /** Its place in the program. */
  index: number
  grid: readonly [number, number, number]
  kernel: string
  params: ReadonlyMap<string, string>
}

/** The dispatches that a step with these counts runs, in order. */
export function activeDispatches(
  { dispatches }: Pick<Program, 'dispatches'>,
  counts: StepCounts,
): ActiveDispatch[] {
  return dispatches.flatMap((dispatch, index) => {
    const grid = dispatch.grid(counts)
    if (grid === undefined || grid[0] * grid[1] * grid[2] === 0) return []
    return [{ dispatch, index, grid, ...readLabel(dispatch.pipeline.label) }]
  })
}

/** Dispatches of one pipeline and size: the same work on other layers' weights. */
export function kindsOf(active: readonly ActiveDispatch[]): ActiveDispatch[][] {
  const kinds = Map.groupBy(active, ({ dispatch, grid }) => `${dispatch.pipeline.label} ${grid}`)
  return [...kinds.values()]
}

/** Embeddings in front of the layers, and what makes logits behind them. */
export function isOutsideLayers({ kernel, params }: ActiveDispatch): boolean {
  return kernel.startsWith('embed') || params.get('ROWS') === 'logit_rows'
}

/** `norm.wgsl(DIM=256, VARIANT=plain)` as a name without its ending, and parameters. */
export function readLabel(label: string): Pick<ActiveDispatch, 'kernel' | 'params'> {
  const [, kernel, list] = /^(\w+)(?:\.wgsl)?\((.*)\)$/.exec(label) ?? [undefined, label, '']
  const pairs = list.split(', ').filter((pair) => pair.includes('='))
  const params = new Map(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      return [pair.slice(0, at), pair.slice(at + 1)] as const
    }),
  )
  return { kernel, params }
}

/** Records dispatches into a pass. */
export function encodeAll(pass: GPUComputePassEncoder, active: readonly ActiveDispatch[]): void {
  let current: GPUComputePipeline | undefined
  for (const { dispatch, grid } of active) {
    const { handle } = dispatch.pipeline
    if (handle !== current) pass.setPipeline(handle)
    current = handle
    pass.setBindGroup(0, dispatch.bindGroup)
    pass.dispatchWorkgroups(...grid)
  }
}

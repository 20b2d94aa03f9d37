// Chooses the shapes of the kernels that multiply with weights by measuring them: no shape is the best
// on every GPU. Takes seconds, once for an adapter, a driver and a version of glaze.
import { DeviceError } from '../errors.ts'
import type { Activations } from './activations.ts'
import { Buffers } from './buffers.ts'
import type { Gpu } from './device.ts'
import { allocateMatrix, isQuantized, type Matrix, QUANT_GROUP } from './matrix.ts'
import { matmul } from './ops/matmul.ts'
import { Pipelines } from './pipelines.ts'
import {
  CANDIDATES,
  type Candidates,
  type Lanes,
  type ProductTuning,
  productType,
  type Tile,
  type TileChoice,
} from './products.ts'
import { Program } from './program.ts'
import { StepBuffer } from './step.ts'
import type { Tuning } from './tuning.ts'

/** Sizes of the matrices that matter most: [wide, columns] and [columns, inner]. */
export interface TuneSizes {
  hiddenSize: number
  innerSize: number
}

/** Milliseconds of work before anything is measured: an idle GPU clocks down. */
const WARM_UP_MS = 600
/** Milliseconds of each measured run, of which the fastest of a few counts. */
const RUN_MS = 5
const RUNS = 3
/** Rows of a step with a prompt slice, with which tiles without a bound are measured. */
const MANY_ROWS = 512

/** A product of one shape that is measured with different tunings. */
interface Bench {
  weights: Matrix
  x: Activations
}

/**
 * The fastest shapes for the type of `tuning`'s weights; what does not run on the device is left out.
 * Matrices hold zeros: no kernel's time depends on the numbers.
 */
export async function autotune(
  gpu: Pick<Gpu, 'device' | 'limits'>,
  tuning: Tuning,
  sizes: TuneSizes,
  candidates: Candidates = CANDIDATES,
): Promise<ProductTuning> {
  using buffers = new Buffers(gpu.device, gpu.limits.maxBindingSize)
  const type = tuning.weights
  const { hiddenSize, innerSize } = sizes
  const step = await StepBuffer.create(buffers, { tokens: MANY_ROWS, segments: 64, logitRows: 64 })
  const bench = async (rows: number, columns: number): Promise<Bench> => {
    const weights = await allocateMatrix(buffers, 'tuned weights', rows, columns, type)
    const range = { buffer: await buffers.create('tuned x', MANY_ROWS * weights.stride * 4) }
    if (!isQuantized(type)) return { weights, x: { type: 'f32', range } }
    const scales = (MANY_ROWS * weights.stride * 4) / QUANT_GROUP
    const buffer = await buffers.create('tuned x scales', scales)
    return { weights, x: { type: 'int8', range, scales: { buffer }, stride: weights.stride } }
  }
  const wide = await bench(2 * innerSize, hiddenSize)
  const narrow = await bench(hiddenSize, innerSize)
  const y = { buffer: await buffers.create('tuned y', MANY_ROWS * 2 * innerSize * 4) }
  const pipelines = new Pipelines(gpu.device)

  /** Milliseconds of the products together; infinite if they do not run here. */
  const cost = async (products: ProductTuning, rows: number, benches: readonly Bench[]) => {
    try {
      const plans = benches.flatMap(({ weights, x }) => {
        // Tiles are what is chosen: matrix units would take their place.
        const one = { ...tuning, invariant: false, matrixUnits: undefined, products }
        const all = matmul(one, { step: step.tables, x, weights, y, maxRows: MANY_ROWS })
        return all.filter((plan) => plan.grid(counts(rows)) !== undefined)
      })
      const program = await Program.compile(pipelines, plans)
      return await time(gpu.device, program, counts(rows))
    } catch (error) {
      // A tile may need more memory or invocations than a workgroup has here.
      if (error instanceof DeviceError) return Number.POSITIVE_INFINITY
      throw error
    }
  }
  const counts = (tokens: number) => {
    const segments = { tokens, decodes: 0, segments: 1, chunks: 0 }
    return { ...segments, logitRows: 0, samples: 0 }
  }
  step.write(gpu.device.queue, [
    {
      ...{ slot: 0, position: 0, logits: 'none', decode: false },
      tokens: new Array(MANY_ROWS).fill(0),
    },
  ])

  const field = isQuantized(type) ? 'ints' : 'floats'
  let best = tuning.products
  const start = performance.now()
  while (performance.now() - start < WARM_UP_MS) await cost(best, 1, [wide])

  const kind = productType(type)
  for (const [part, rows] of [
    ['one', 1],
    ['more', 8],
  ] as const) {
    const choose = (lanes: Lanes): ProductTuning => {
      return { ...best, few: { ...best.few, [kind]: { ...best.few[kind], [part]: lanes } } }
    }
    best = await fastest(
      candidates.lanes.map(choose),
      (products) => cost(products, rows, [wide, narrow]),
      best,
    )
  }
  for (const [i, { most }] of best[field].entries()) {
    const rows = Math.min(most, MANY_ROWS)
    const choose = (part: Partial<TileChoice>) => ({
      ...best,
      [field]: best[field].with(i, { ...best[field][i], ...part }),
    })
    // Slices would make the sums of prompts depend on how long they are.
    const fits = (tile: Tile) => (most <= MANY_ROWS ? tile.rows <= most : tile.slices === 1)
    const tiles = candidates[field].filter(fits)
    best = await fastest(
      tiles.map((tile) => choose({ tile })),
      (products) => cost(products, rows, [wide]),
      best,
    )
    best = await fastest(
      tiles.map((tile) => choose({ narrow: tile })),
      (products) => cost(products, rows, [narrow]),
      best,
    )
  }
  return best
}

/** What was there before stays unless another is faster by more than chance. */
async function fastest(
  candidates: readonly ProductTuning[],
  cost: (products: ProductTuning) => Promise<number>,
  before: ProductTuning,
): Promise<ProductTuning> {
  let best = { products: before, ms: 0.97 * (await cost(before)) }
  for (const products of candidates) {
    const ms = await cost(products)
    if (ms < best.ms) best = { products, ms }
  }
  return best.products
}

/** Milliseconds of one run of a program: the best of several, each long enough to be timed. */
async function time(device: GPUDevice, program: Program, counts: Parameters<Program['encode']>[1]) {
  const run = async (times: number) => {
    const start = performance.now()
    const encoder = device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    for (let i = 0; i < times; i++) program.encode(pass, counts)
    pass.end()
    device.queue.submit([encoder.finish()])
    await device.queue.onSubmittedWorkDone()
    return (performance.now() - start) / times
  }
  // The first run of a pipeline is slow.
  await run(1)
  const times = Math.max(1, Math.min(200, Math.round(RUN_MS / (await run(2)))))
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < RUNS; i++) best = Math.min(best, await run(times))
  return best
}

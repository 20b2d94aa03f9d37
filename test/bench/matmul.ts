// Times the matrix products of the default model: `bun test/bench/matmul.ts [plain|subgroup]`.
// Others on the machine make it slower, never faster, so each figure is the best of several.
import { Buffers } from '../../src/gpu/buffers.ts'
import { openGpu } from '../../src/gpu/device.ts'
import type { Matrix } from '../../src/gpu/matrix.ts'
import { type MatmulOptions, matmul } from '../../src/gpu/ops/matmul.ts'
import { Pipelines } from '../../src/gpu/pipelines.ts'
import { type Plan, Program } from '../../src/gpu/program.ts'
import { StepBuffer } from '../../src/gpu/step.ts'
import { chooseTuning } from '../../src/gpu/tuning.ts'
import { uploadMatrix } from '../helpers/matrix.ts'
import { Random } from '../helpers/numbers.ts'

const LAYERS = 6
const ROWS = [1, 2, 4, 8, 16, 64, 128, 512]
const TRIES = 25
/** Milliseconds after which no further try of one figure is begun. */
const MAX_TIME = 1000

/** Products of one layer, then of the whole model; GLA with its output gate. */
const PRODUCTS: (Pick<MatmulOptions, 'epilogue'> & { name: string; N: number; K: number })[] = [
  { name: 'q k v gates', N: 784, K: 256 },
  { name: 'output', N: 256, K: 256, epilogue: 'add' },
  { name: 'gate, up', N: 1408, K: 256, epilogue: 'swiglu' },
  { name: 'down', N: 256, K: 704, epilogue: 'add' },
]
const HEAD = { name: 'lm_head', N: 4096, K: 256, rows: 'logit_rows' as const }

const gpu = await openGpu({ adapter: process.env.GLAZE_ADAPTER || 'auto' })
const buffers = new Buffers(gpu.device, gpu.limits.maxBindingSize)
const pipelines = new Pipelines(gpu.device)
const tuning = chooseTuning(gpu, {
  kernels: process.argv[2] ?? 'auto',
  dtype: 'auto',
  batchInvariant: undefined,
})
console.log(`${gpu.adapter.name}, ${tuning.variant}; milliseconds, best of ${TRIES}`)
const most = Math.max(...ROWS)
const step = await StepBuffer.create(buffers, { tokens: most, segments: 1, logitRows: most })
const random = new Random(1)
const x = { buffer: await buffers.upload('x', random.normals(most * 704)) }
const y = { buffer: await buffers.create('y', most * HEAD.N * 4) }

for (const type of ['f32', 'f16'] as const) {
  print(type, ROWS)
  const layer: Plan[][] = []
  for (const product of [...PRODUCTS, HEAD]) {
    const weights = await matrix(product, type)
    const plans = matmul({ ...tuning, weights: type }, { ...product, weights, ...shared() })
    layer.push(plans)
    const program = await Program.compile(pipelines, plans)
    const figures: number[] = []
    for (const rows of ROWS) figures.push(await time(program, rows, rows))
    print(`${product.name} [${product.N}, ${product.K}]`, figures)
  }
  // Layers of their own weights, so that caches see what they see in the model.
  const plans: Plan[] = []
  for (let i = 0; i < LAYERS; i++) {
    for (const product of PRODUCTS) {
      const weights = await matrix(product, type)
      plans.push(...matmul({ ...tuning, weights: type }, { ...product, weights, ...shared() }))
    }
  }
  const program = await Program.compile(pipelines, [...plans, ...(layer.at(-1) ?? [])])
  const figures: number[] = []
  for (const rows of ROWS) figures.push(await time(program, rows, rows > 16 ? 1 : rows))
  print('a step (prompts: 1 logit row)', figures)
}
buffers[Symbol.dispose]()
gpu.destroy()

function shared() {
  return { step: step.tables, x, y, maxRows: most }
}

function matrix(size: { name: string; N: number; K: number }, type: Matrix['type']) {
  const data = random.normals(size.N * size.K, size.K ** -0.5)
  return uploadMatrix(buffers, size.name, data, size.N, size.K, type)
}

async function time(program: Program, tokens: number, logitRows: number): Promise<number> {
  const segment = { slot: 0, tokens: new Array(tokens).fill(0), position: 0, decode: false }
  const counts = step.write(gpu.device.queue, [{ ...segment, logits: 'all' }])
  const run = async (times: number): Promise<number> => {
    const start = performance.now()
    const encoder = gpu.device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    for (let i = 0; i < times; i++) program.encode(pass, { ...counts, logitRows })
    pass.end()
    gpu.device.queue.submit([encoder.finish()])
    await buffers.read({ ...y, size: 4 })
    return (performance.now() - start) / times
  }
  let best = await run(1)
  const times = Math.max(1, Math.min(100, Math.round(8 / best)))
  const end = performance.now() + MAX_TIME
  for (let i = 0; i < TRIES && performance.now() < end; i++) best = Math.min(best, await run(times))
  return best
}

function print(name: string, figures: readonly number[]): void {
  const cells = figures.map((figure) =>
    (Number.isInteger(figure) ? `${figure}` : figure.toFixed(2)).padStart(8),
  )
  console.log(name.padEnd(30) + cells.join(''))
}

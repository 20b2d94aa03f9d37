// `bench kernels`: what each kernel of a step costs, and whether the matrix products are right.
import { BindingNotes } from '../bindings.ts'
import { checkProducts, type ProductCheck } from '../check-products.ts'
import { batchesFor, dispatchesPerLayer } from '../decode.ts'
import { loadForBench, openModelFolder } from '../load.ts'
import { command, listOf, MODEL_OPTIONS } from '../options.ts'
import { describeRun, number, percent, table, writeReport } from '../report.ts'
import { sum } from '../statistics.ts'
import { decodeWorkload, promptWorkload, StepBench, type WorkloadTimes } from '../step-times.ts'
import { GpuTimer } from '../timing.ts'

const BATCHES = [1, 8, 64]
const PROMPTS = [2048]
const PROMPT_ON_CPUS = 512

const OPTIONS = {
  ...MODEL_OPTIONS,
  batches: listOf('Rows of steps that decode.', `${BATCHES.join(',')}; on CPUs up to 8`),
  prompts: listOf('Tokens of prompts.', `${PROMPTS.join(',')}; on CPUs ${PROMPT_ON_CPUS}`),
}

export const kernels = command(
  'time of every kernel of a step at 1, 8 and 64 rows and in a prompt; checks the matrix products',
  OPTIONS,
  async (options) => {
    await using folder = await openModelFolder(options)
    using notes = new BindingNotes()
    await using bench = await loadForBench(folder.options)
    const { model, times } = bench
    const { gpu, buffers, decoder } = model
    const facts = await describeRun(folder, bench, options.rounds)
    const perLayer = dispatchesPerLayer(model)
    console.log(`${number(perLayer)} dispatches a layer for one sequence`)
    using timer = await GpuTimer.create(gpu, buffers, times !== undefined)
    const steps = await StepBench.create(model, timer)
    const prompts = options.prompts ?? (gpu.adapter.software ? [PROMPT_ON_CPUS] : PROMPTS)
    const slice = options.maxNumBatchedTokens
    const workloads = [
      ...batchesFor(model, options.batches, BATCHES).map(decodeWorkload),
      ...prompts.map((tokens) => promptWorkload(tokens, slice, decoder.vocabSize)),
    ]
    const checks: ProductCheck[] = []
    for (const workload of workloads) {
      // Of a prompt the slice without logits has the same products as the last one.
      const counts = steps.write(workload.steps[workload.steps.length - 1].segments)
      checks.push(...(await checkProducts(model, notes, counts)))
    }
    const results = sum(checks.map(({ checked }) => checked))
    const worst = Math.max(...checks.map((check) => check.worst))
    console.log(
      `${results} results of ${checks.length} products agree with float64 on the host; ` +
        `the largest error is ${percent(worst)} of what is allowed`,
    )
    const measured: WorkloadTimes[] = []
    for (const workload of workloads) {
      const result = await steps.time(workload, options.rounds)
      measured.push(result)
      console.log(`\n${kernelTable(result)}`)
    }
    const { rounds, maxNumBatchedTokens } = options
    await writeReport(options.json, {
      ...{ command: 'kernels', ...facts, settings: { rounds, maxNumBatchedTokens } },
      ...{ dispatchesPerLayer: perLayer, checks, workloads: measured },
    })
  },
)

/** Kernels by what they cost, with their sum below and the whole step beside it. */
export function kernelTable({ name, ms, dispatches, kernels }: WorkloadTimes): string {
  const alone = sum(kernels.map((row) => row.ms))
  const rows = kernels.map(({ kernel, product, uses, ms: spent }) => [
    product ? `${kernel} [${product.N}, ${product.K}] ${product.type}` : kernel,
    product ? `${product.rows}` : '',
    `${uses}`,
    number((spent * 1000) / uses),
    number(spent),
    percent(spent / alone),
    product ? number((product.bytes * uses) / spent / 1e6) : '',
    product ? number((product.operations * uses) / spent / 1e9) : '',
  ])
  const total = ['sum', '', `${dispatches}`, '', number(alone), percent(alone / ms), '', '']
  return [
    `${name}: ${number(ms)} ms in one go; timed one by one its kernels take what the sum says`,
    table(['kernel', 'rows', 'uses', 'µs each', 'ms', 'share', 'GB/s', 'TOP/s'], [...rows, total]),
  ].join('\n')
}

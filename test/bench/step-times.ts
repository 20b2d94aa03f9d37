// What each kernel of a step costs: every kind of dispatch timed by itself, beside the whole step.
import type { LoadedModel } from '../../src/engine/load.ts'
import { samplingFields } from '../../src/engine/sampler.ts'
import { SamplingTables } from '../../src/engine/sampling-tables.ts'
import { RESULT_WORDS, sample } from '../../src/gpu/ops/sample.ts'
import { Pipelines } from '../../src/gpu/pipelines.ts'
import { Program, type StepCounts } from '../../src/gpu/program.ts'
import { SAMPLED, type SampleRow, type Segment } from '../../src/gpu/step.ts'
import { randomPrompt } from './load.ts'
import { type Product, productOf } from './products.ts'
import { median } from './statistics.ts'
import { type ActiveDispatch, activeDispatches, encodeAll, kindsOf } from './step-dispatches.ts'
import type { GpuTimer } from './timing.ts'

/** Work whose steps are timed. */
export interface Workload {
  name: string
  /** Steps that differ, and how often each occurs. */
  steps: { times: number; segments: Segment[] }[]
}

export interface KernelRow {
  kernel: string
  /** Of a product: [N, K] and the type of its weights. */
  product: Product | undefined
  /** Dispatches in the whole workload, and milliseconds of all of them. */
  uses: number
  ms: number
}

export interface WorkloadTimes {
  name: string
  /** Milliseconds of the whole steps, each as one pass. */
  ms: number
  dispatches: number
  kernels: KernelRow[]
}

const GREEDY = samplingFields({ temperature: 0, topP: 1, topK: 0, minP: 0, seed: undefined })

/** One token each for `rows` sequences. */
export function decodeWorkload(rows: number): Workload {
  const segments = Array.from({ length: rows }, (_, slot): Segment => {
    return { slot, tokens: [SAMPLED], position: 64, logits: 'last', decode: true }
  })
  return { name: `decode, ${rows} ${rows === 1 ? 'row' : 'rows'}`, steps: [{ times: 1, segments }] }
}

/** A prompt in slices; only the last wants logits. */
export function promptWorkload(tokens: number, slice: number, vocabSize: number): Workload {
  const ids = randomPrompt(vocabSize, Math.min(slice, tokens))
  const segment = (count: number, logits: Segment['logits']): Segment[] => [
    { slot: 0, tokens: ids.slice(0, count), position: tokens - count, logits, decode: false },
  ]
  const whole = Math.ceil(tokens / slice) - 1
  const inner = whole > 0 ? [{ times: whole, segments: segment(slice, 'none') }] : []
  const last = { times: 1, segments: segment(tokens - whole * slice, 'last') }
  return { name: `prompt of ${tokens}`, steps: [...inner, last] }
}

/** Writes the steps of a model into its step buffer and times what they run. */
export class StepBench {
  private constructor(
    readonly model: LoadedModel,
    readonly timer: GpuTimer,
    readonly sampler: Program,
  ) {}

  static async create(model: LoadedModel, timer: GpuTimer): Promise<StepBench> {
    const { buffers, decoder, gpu, tuning } = model
    const { step, logits, vocabSize, sampled, slots } = decoder
    const { bias, masks, history } = await SamplingTables.create(buffers, slots, vocabSize)
    const bytes = step.limits.logitRows * RESULT_WORDS * 4
    const plans = sample(tuning, {
      step: step.tables,
      logits: { buffer: logits },
      vocabSize,
      bias: { buffer: bias },
      masks: { buffer: masks },
      history: { buffer: history },
      sampled: { buffer: sampled },
      results: { buffer: await buffers.create('sampled by the bench', bytes) },
      maxInvocations: gpu.device.limits.maxComputeInvocationsPerWorkgroup,
    })
    return new StepBench(model, timer, await Program.compile(new Pipelines(gpu.device), plans))
  }

  /** Makes a step the one that the next dispatches are of. */
  write(segments: readonly Segment[]): StepCounts {
    const samples: SampleRow[] = segments
      .filter(({ logits }) => logits === 'last')
      .map(({ slot }, logitRow) => ({ ...GREEDY, logitRow, slot, top: undefined, random: 0 }))
    const { gpu, decoder } = this.model
    return decoder.step.write(gpu.device.queue, segments, samples)
  }

  async time({ name, steps }: Workload, rounds: number): Promise<WorkloadTimes> {
    const rows = new Map<string, KernelRow>()
    let [ms, dispatches] = [0, 0]
    for (const { times, segments } of steps) {
      const counts = this.write(segments)
      const active = this.#active(counts)
      ms += times * (await this.#milliseconds(active, rounds))
      dispatches += times * active.length
      for (const kind of kindsOf(active)) {
        // Layer after layer, so that no cache holds the weights.
        const spent = await this.#milliseconds(kind, rounds)
        const [{ kernel, dispatch }] = kind
        const product = productOf(kind[0], counts)
        const key = `${dispatch.pipeline.label} ${product?.rows}`
        const row = rows.get(key) ?? { kernel, product, uses: 0, ms: 0 }
        row.uses += times * kind.length
        row.ms += times * spent
        rows.set(key, row)
      }
    }
    const kernels = [...rows.values()].sort((a, b) => b.ms - a.ms)
    return { name, ms, dispatches, kernels }
  }

  /** Of dispatches in a pass of their own, median. */
  async #milliseconds(dispatches: readonly ActiveDispatch[], rounds: number): Promise<number> {
    return median(await this.timer.repeated((pass) => encodeAll(pass, dispatches), rounds))
  }

  #active(counts: StepCounts): ActiveDispatch[] {
    const { program } = this.model.decoder
    return [...activeDispatches(program, counts), ...activeDispatches(this.sampler, counts)]
  }
}

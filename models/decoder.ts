// A whole model as one program: embedding, the layers, and logits for the rows that want them.
import { DeviceError, invariant } from '../src/errors.ts'
import { type Activations, allocateActivations } from '../src/gpu/activations.ts'
import type { BufferRange, Buffers } from '../src/gpu/buffers.ts'
import { MAX_WORKGROUPS } from '../src/gpu/grid.ts'
import { type Matrix, sensitiveType } from '../src/gpu/matrix.ts'
import { embed } from '../src/gpu/ops/embed.ts'
import { matmul } from '../src/gpu/ops/matmul.ts'
import { rmsNorm } from '../src/gpu/ops/norm.ts'
import type { Pipelines } from '../src/gpu/pipelines.ts'
import { type Plan, Program, type StepCounts } from '../src/gpu/program.ts'
import { maxChunks, StepBuffer, type StepLimits } from '../src/gpu/step.ts'
import type { Tuning } from '../src/gpu/tuning.ts'
import type { MixerConfig } from './config.ts'
import { glaLayer } from './gla.ts'
import { gsaLayer } from './gsa.ts'
import { LayerContext, type ProductInput } from './layer.ts'
import { softmaxLayer } from './softmax.ts'
import type { StateLayout } from './state.ts'
import type { MixerTensors, ModelTensors } from './tensors.ts'
import { type LoadProgress, WeightUploader } from './weights.ts'

/** A loaded model, ready to run steps. */
export interface Decoder {
  program: Program
  step: StepBuffer
  /** [logitRows, vocabSize] f32 of the last step. */
  logits: GPUBuffer
  /** [slots, layout.slotFloats] f32. */
  states: GPUBuffer
  /** [slots] u32: the token that was sampled last for each slot. */
  sampled: GPUBuffer
  layout: StateLayout
  slots: number
  layers: number
  vocabSize: number
  /** GPU memory of the weights. */
  weightBytes: number
}

export interface DecoderOptions {
  buffers: Buffers
  pipelines: Pipelines
  tuning: Tuning
  limits: StepLimits
  layout: StateLayout
  slots: number
  onProgress?: LoadProgress
}

/**
 * Uploads the weights and compiles the program.
 * @throws CheckpointError for weights that cannot be used, DeviceError when memory is out.
 */
export async function loadDecoder(
  tensors: ModelTensors,
  options: DecoderOptions,
): Promise<Decoder> {
  const { buffers, pipelines, tuning, limits, layout, slots } = options
  const { hiddenSize, vocabSize, normEps } = tensors.config
  const weights = new WeightUploader(buffers, tuning.weights, options.onProgress)
  const step = await StepBuffer.create(buffers, limits)
  const states = await buffers.create('states', slots * layout.slotFloats * 4)
  const sampled = await buffers.create('sampled', slots * 4)
  const x: BufferRange = { buffer: await buffers.create('x', limits.tokens * hiddenSize * 4) }
  const context = new LayerContext(
    tuning,
    buffers,
    weights,
    step.tables,
    limits,
    layout,
    states,
    x,
    hiddenSize,
  )

  const outerType = sensitiveType(tuning.weights)
  const table = await weights.stacked('embeddings', [tensors.embeddings], outerType)
  const plans: Plan[] = [
    embed(tuning, { step: step.tables, table, sampled: { buffer: sampled }, x }),
  ]
  const mixerInput = (index: number): Promise<ProductInput> | undefined => {
    if (index === tensors.layers.length) return undefined
    const { mixerNorm } = tensors.layers[index]
    if (!mixerNorm) return context.productInput('mixer input', x, hiddenSize)
    return context.normOfX(`layer ${index} mixer norm`, mixerNorm, normEps, index > 0)
  }
  let input = await mixerInput(0)
  for (let index = 0; input; index++) {
    const next = await mixerInput(index + 1)
    plans.push(...(await planLayer(context, tensors, index, input, next?.input)))
    input = next
  }

  const head: Matrix = tensors.lmHead
    ? await weights.stacked('lm_head', [tensors.lmHead], outerType)
    : table
  const last = await allocateActivations(
    async (name, bytes) => ({ buffer: await buffers.create(name, bytes) }),
    'last rows',
    head.type,
    limits.logitRows,
    hiddenSize,
  )
  const logits = await buffers.create('logits', limits.logitRows * vocabSize * 4)
  plans.push(
    rmsNorm(tuning, {
      step: step.tables,
      x,
      y: last,
      weight: await weights.vector('final norm', [tensors.finalNorm]),
      dim: hiddenSize,
      eps: normEps,
      rows: 'logit_rows',
    }),
    ...matmul(tuning, {
      step: step.tables,
      x: last,
      weights: head,
      y: { buffer: logits },
      rows: 'logit_rows',
      maxRows: limits.logitRows,
    }),
  )
  checkGrids(plans, limits)
  await weights.finish()
  const program = await Program.compile(pipelines, plans)
  const { gpuBytes: weightBytes } = weights
  const layers = tensors.layers.length
  return { program, step, logits, states, sampled, layout, slots, layers, vocabSize, weightBytes }
}

/** The largest steps must fit the 65,535 workgroups that every adapter allows in a dimension. */
function checkGrids(plans: readonly Plan[], limits: StepLimits): void {
  const chunks = maxChunks(limits)
  const steps: StepCounts[] = []
  // Kernels for few rows have their largest grids where others take over.
  for (let rows = 1; rows < 2 * limits.tokens; rows *= 2) {
    const tokens = Math.min(rows, limits.tokens)
    const segments = Math.min(rows, limits.segments)
    const logitRows = Math.min(rows, limits.logitRows)
    steps.push({ tokens, decodes: 0, segments, chunks, logitRows, samples: logitRows })
    steps.push({ tokens, decodes: segments, segments, chunks: 0, logitRows, samples: logitRows })
  }
  for (const { kernel, grid } of plans) {
    const most = Math.max(...steps.flatMap((counts) => grid(counts) ?? []))
    if (most <= MAX_WORKGROUPS) continue
    throw new DeviceError(
      `${kernel.name}: this model takes ${most} workgroups in a dimension, ${MAX_WORKGROUPS} are ` +
        'allowed; lower --max-num-batched-tokens or --max-num-seqs',
    )
  }
}

/**
 * x += mixer(input); x += down(silu(gate(norm(x))) · up(norm(x))).
 * @param next what the next layer's mixer takes
 */
async function planLayer(
  context: LayerContext,
  tensors: ModelTensors,
  index: number,
  { input, plans }: ProductInput,
  next: Activations | undefined,
): Promise<Plan[]> {
  const { tuning, step, weights, limits } = context
  const { innerSize, normEps, layers } = tensors.config
  const layer = tensors.layers[index]
  const h = await context.activations('mlp', innerSize)
  // Where h is int8, kernels for many rows make floats first.
  const gated = h.type === 'f32' ? h.range : await context.perToken('mlp', innerSize)
  const quantized = h.type === 'int8' ? h : undefined
  const mlp = await context.normOfX(`layer ${index} mlp norm`, layer.mlpNorm, normEps, true)
  const mixer = await planMixer(context, layers[index], layer.mixer, index, input, mlp.input)
  const gateUp = await weights.interleaved(`layer ${index} gate and up`, layer.gate, layer.up)
  const down = await weights.stacked(`layer ${index} down`, [layer.down])
  const maxRows = limits.tokens
  return [
    ...plans,
    ...mixer,
    ...mlp.plans,
    ...matmul(tuning, {
      step,
      x: mlp.input,
      weights: gateUp,
      y: gated,
      quantized,
      maxRows,
      epilogue: 'swiglu',
    }),
    ...context.addToResidual(down, h, next),
  ]
}

/** x += mixer(input); `next` is the norm of x behind it. */
function planMixer(
  context: LayerContext,
  config: MixerConfig,
  tensors: MixerTensors,
  layer: number,
  input: Activations,
  next: Activations,
): Promise<Plan[]> {
  if (config.kind === 'gla' && tensors.kind === 'gla') {
    return glaLayer(context, config, tensors, layer, input, next)
  }
  if (config.kind === 'gsa' && tensors.kind === 'gsa') {
    return gsaLayer(context, config, tensors, layer, input, next)
  }
  invariant(config.kind === 'softmax' && tensors.kind === 'softmax', `tensors of layer ${layer}`)
  return softmaxLayer(context, config, tensors, layer, input, next)
}

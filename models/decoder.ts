// A whole model as one program: embedding, the layers, and logits for the rows that want them.
import type { BufferRange, Buffers } from '../src/gpu/buffers.ts'
import type { Matrix } from '../src/gpu/matrix.ts'
import { embed } from '../src/gpu/ops/embed.ts'
import { matmul } from '../src/gpu/ops/matmul.ts'
import { rmsNorm } from '../src/gpu/ops/norm.ts'
import type { Pipelines } from '../src/gpu/pipelines.ts'
import { type Plan, Program } from '../src/gpu/program.ts'
import { StepBuffer, type StepLimits } from '../src/gpu/step.ts'
import type { Tuning } from '../src/gpu/tuning.ts'
import { glaLayer } from './gla.ts'
import { gsaLayer } from './gsa.ts'
import { LayerContext } from './layer.ts'
import { softmaxLayer } from './softmax.ts'
import type { StateLayout } from './state.ts'
import type { LayerTensors, ModelTensors } from './tensors.ts'
import { type LoadProgress, WeightUploader } from './weights.ts'

/** A loaded model, ready to run steps. */
export interface Decoder {
  program: Program
  step: StepBuffer
  /** [logitRows, vocabSize] f32 of the last step. */
  logits: GPUBuffer
  /** [slots, layout.slotFloats] f32. */
  states: GPUBuffer
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

  const table = await weights.stacked('embeddings', [tensors.embeddings])
  const plans: Plan[] = [embed(tuning, { step: step.tables, table, x })]
  for (const [index, layer] of tensors.layers.entries()) {
    plans.push(...(await planLayer(context, tensors, layer, index)))
  }

  const head: Matrix = tensors.lmHead ? await weights.stacked('lm_head', [tensors.lmHead]) : table
  const last: BufferRange = {
    buffer: await buffers.create('last rows', limits.logitRows * hiddenSize * 4),
  }
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
  const program = await Program.compile(pipelines, plans)
  const { gpuBytes: weightBytes } = weights
  const layers = tensors.layers.length
  return { program, step, logits, states, layout, slots, layers, vocabSize, weightBytes }
}

/** x += mixer(norm(x)); x += down(silu(gate(norm(x))) · up(norm(x))). */
async function planLayer(
  context: LayerContext,
  tensors: ModelTensors,
  layer: LayerTensors,
  index: number,
): Promise<Plan[]> {
  const { tuning, step, weights, x, hiddenSize, limits } = context
  const { innerSize, normEps, layers } = tensors.config
  const n = await context.perToken('normed x', hiddenSize)
  const h = await context.perToken('mlp', innerSize)
  const norm = async (name: string, weight: LayerTensors['mlpNorm']): Promise<Plan> =>
    rmsNorm(tuning, {
      step,
      x,
      y: n,
      weight: await weights.vector(`layer ${index} ${name}`, [weight]),
      dim: hiddenSize,
      eps: normEps,
    })
  const config = layers[index]
  const input = layer.mixerNorm ? n : x
  const mixer =
    config.kind === 'gla' && layer.mixer.kind === 'gla'
      ? await glaLayer(context, config, layer.mixer, index, input)
      : config.kind === 'gsa' && layer.mixer.kind === 'gsa'
        ? await gsaLayer(context, config, layer.mixer, index, input)
        : config.kind === 'softmax' && layer.mixer.kind === 'softmax'
          ? await softmaxLayer(context, config, layer.mixer, index, input)
          : mismatch(index)
  const gateUp = await weights.interleaved(`layer ${index} gate and up`, layer.gate, layer.up)
  const down = await weights.stacked(`layer ${index} down`, [layer.down])
  const maxRows = limits.tokens
  return [
    ...(layer.mixerNorm ? [await norm('mixer norm', layer.mixerNorm)] : []),
    ...mixer,
    await norm('mlp norm', layer.mlpNorm),
    ...matmul(tuning, { step, x: n, weights: gateUp, y: h, maxRows, epilogue: 'swiglu' }),
    ...matmul(tuning, { step, x: h, weights: down, y: x, maxRows, epilogue: 'add' }),
  ]
}

function mismatch(layer: number): never {
  throw new Error(`broken invariant: tensors of layer ${layer} are of another kind than its config`)
}

// Softmax attention layers of hybrids: grouped heads, rotary positions, an optional window; keys
// and values of earlier tokens lie in the sequence's slot.

import { invariant } from '../src/errors.ts'
import type { Activations } from '../src/gpu/activations.ts'
import { attention } from '../src/gpu/ops/attention.ts'
import { matmul } from '../src/gpu/ops/matmul.ts'
import { rotary } from '../src/gpu/ops/rope.ts'
import type { Plan } from '../src/gpu/program.ts'
import type { SoftmaxConfig } from './config.ts'
import type { LayerContext } from './layer.ts'
import { cacheCapacity } from './state.ts'
import type { SoftmaxTensors } from './tensors.ts'

/** x += attention(input) for one softmax layer; `input` is [tokens, D], `next` the norm of x behind it. */
export async function softmaxLayer(
  context: LayerContext,
  config: SoftmaxConfig,
  tensors: SoftmaxTensors,
  layer: number,
  input: Activations,
  next: Activations,
): Promise<Plan[]> {
  const { tuning, step, weights, layout } = context
  const { heads, kvHeads, headDim, window } = config
  const label = `layer ${layer}`
  const maxRows = context.limits.tokens
  invariant(layout.maxLength !== undefined, 'softmax layers bound the length')

  // Row of p: q [Ha·d] | k [Hka·d] | v [Hka·d].
  const projection = await weights.stacked(`${label} projections`, [
    tensors.q,
    tensors.k,
    tensors.v,
  ])
  const { qBias, kBias, vBias } = tensors
  const bias =
    qBias && kBias && vBias
      ? await weights.vector(`${label} biases`, [qBias, kBias, vBias])
      : undefined
  const p = await context.perToken('projections', projection.rows)
  const q = await context.perToken('q', heads * headDim)
  const k = await context.perToken('k', kvHeads * headDim)
  const v = await context.perToken('v', kvHeads * headDim)
  const o = await context.perToken('o', heads * headDim)
  const attended = await context.productInput('attended', o, heads * headDim)
  const shape = { step, q, k, v, heads, kvHeads, headDim }
  const output = await context.outputMatrix(label, tensors.output)
  return [
    ...matmul(tuning, { step, x: input, weights: projection, y: p, maxRows, bias }),
    rotary(tuning, {
      ...shape,
      p,
      stride: projection.rows,
      table: await context.rotary(headDim, config.ropeTheta),
    }),
    ...attention(tuning, {
      ...shape,
      o,
      cache: context.state(layer, 'cache'),
      slotStride: layout.slotFloats,
      capacity: cacheCapacity(window, layout.maxLength),
      // A window as long as any sequence hides nothing.
      window: window !== undefined && window < layout.maxLength ? window : undefined,
    }),
    ...attended.plans,
    ...context.addToResidual(output, attended.input, next),
  ]
}

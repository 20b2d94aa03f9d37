// Gated linear attention in chunks of 64 tokens: the prompt segments of a step.
import { kernels } from '../../../kernels/index.ts'
import type { BufferRange } from '../buffers.ts'
import type { Grid, Plan } from '../program.ts'
import { CHUNK, maxChunks, type StepLimits } from '../step.ts'
import type { Tuning } from '../tuning.ts'
import { type GatedAttention, inBlocks } from './recurrent.ts'

/** What the parts of the chunked form hand on, in three different buffers; f32. */
export interface ChunkScratch {
  /** [tokens, kvHeads, 2, keyDim or valueDim]: decays and their products from row 16·i on. */
  gates: BufferRange
  /** [chunks, kvHeads, keyDim, valueDim]: gain of each chunk, then the state in front of it. */
  gains: BufferRange
  /** [tokens, heads, 64]: scores of a row against the keys of its chunk. */
  scores: BufferRange
}

type Shape = Pick<GatedAttention, 'heads' | 'kvHeads' | 'keyDim' | 'valueDim' | 'gateAxis'>

const SUB_CHUNKS = 4

/** Floats in each scratch buffer for steps of at most these sizes. */
export function chunkScratchSizes(
  limits: StepLimits,
  shape: Shape,
): { gates: number; gains: number; scores: number } {
  const { heads, kvHeads, keyDim, valueDim } = shape
  return {
    gates: limits.tokens * kvHeads * 2 * gateDim(shape),
    gains: maxChunks(limits) * kvHeads * keyDim * valueDim,
    scores: limits.tokens * heads * CHUNK,
  }
}

/**
 * Feeds the prompt segments to their slots, from the state found there to the state after their
 * last token, and writes their outputs; rows of decode segments stay as they are.
 * kernels/chunk_*.wgsl: per chunk decays, gain and scores, along each segment the states, per chunk
 * the outputs.
 */
export function chunked(
  tuning: Tuning,
  options: GatedAttention & { scratch: ChunkScratch },
): Plan[] {
  const { step, scratch, heads, kvHeads, keyDim, valueDim, slotStride } = options
  // Any size from 8 to 64 runs alike on SwiftShader (2026-11); 16 spreads short prompts over cores.
  const WORKGROUP = tuning.variant === 'subgroup' ? 64 : 16
  const { chunks } = step
  const { gates, gains, scores } = scratch
  const { q, k, v, o } = options
  const kv = { WORKGROUP, KV_HEADS: kvHeads, K: keyDim, V: valueDim, GATE_AXIS: options.gateAxis }
  const VECTOR = inBlocks(keyDim, valueDim)
  const blocks = (dim: number) => Math.ceil(dim / 4)
  // Invocations for each of `rows` heads (or sub-chunks) of each chunk.
  const perChunk =
    (invocations: number, rows: number): Grid =>
    (counts) =>
      counts.chunks > 0 ? [Math.ceil(invocations / WORKGROUP), rows, counts.chunks] : undefined
  const scanGroups = Math.ceil((keyDim * blocks(valueDim)) / WORKGROUP)
  return [
    {
      kernel: kernels.chunkGates,
      params: { WORKGROUP, KV_HEADS: kvHeads, DIM: gateDim(options) },
      bindings: { chunks, gate: options.gate, gates },
      grid: perChunk(kvHeads * gateDim(options), SUB_CHUNKS),
    },
    {
      kernel: kernels.chunkGain,
      params: { ...kv, VECTOR },
      bindings: { chunks, k, v, gates, gains },
      grid: perChunk(blocks(keyDim) * blocks(valueDim), kvHeads),
    },
    {
      kernel: kernels.chunkScores,
      params: {
        WORKGROUP,
        HEADS: heads,
        KV_HEADS: kvHeads,
        K: keyDim,
        GATE_AXIS: options.gateAxis,
        VECTOR: inBlocks(keyDim),
      },
      bindings: { chunks, q, k, scores, ...(options.gateAxis === 'key' && { gates }) },
      grid: perChunk(SUB_CHUNKS * blocks(CHUNK), heads),
    },
    {
      kernel: kernels.chunkScan,
      params: { ...kv, SLOT_STRIDE: slotStride, VECTOR: inBlocks(valueDim, slotStride) },
      bindings: {
        counts: step.counts,
        segments: step.segments,
        gates,
        gains,
        state: options.state,
      },
      grid: ({ chunks, segments, decodes }) =>
        chunks > 0 ? [scanGroups, kvHeads, segments - decodes] : undefined,
    },
    {
      kernel: kernels.chunkOutput,
      params: { ...kv, HEADS: heads, SCALE: options.scale, VECTOR },
      bindings: { chunks, q, v, gates, states: gains, scores, o },
      grid: perChunk(blocks(CHUNK) * Math.ceil(blocks(valueDim) / 2), heads),
    },
  ]
}

function gateDim(shape: Shape): number {
  return shape.gateAxis === 'key' ? shape.keyDim : shape.valueDim
}

// The work list of one step as kernels read it: one buffer, one upload a step. kernels/step.wgsl
// declares the same structures.
import { invariant } from '../errors.ts'
import { alignUp, BINDING_ALIGNMENT, type BufferRange, type Buffers, Usage } from './buffers.ts'
import type { StepCounts } from './program.ts'

/** Tokens in a chunk of the chunked prompt form; prompt slices end at multiples of it. */
export const CHUNK = 64

/** A run of consecutive tokens of one sequence. */
export interface Segment {
  /** Row of the state pool. */
  slot: number
  /** Token ids; one for a decode row. */
  tokens: readonly number[]
  /** Tokens of the sequence that earlier steps have seen. */
  position: number
  /** Tokens of this segment whose logits are wanted: none, the last, or all. */
  logits: 'none' | 'last' | 'all'
  /** True for a row that continues by the recurrent kernels; it holds one token. */
  decode: boolean
}

/** Rows of a segment in the step's logits. */
export function logitRowsOf({ logits, tokens }: Segment): number {
  return { none: 0, last: 1, all: tokens.length }[logits]
}

/** Most that a step can hold; fixes the sizes of all activation buffers. */
export interface StepLimits {
  tokens: number
  segments: number
  logitRows: number
}

/** Each table as a binding for kernels. */
export interface StepTables {
  /** Counts (uniform). */
  counts: BufferRange
  /** [tokens] u32: token ids. */
  tokens: BufferRange
  /** [segments] Segment. */
  segments: BufferRange
  /** [chunks] Chunk. */
  chunks: BufferRange
  /** [tokens] u32: the segment each token belongs to. */
  segmentOf: BufferRange
  /** [logitRows] u32: token rows whose logits are wanted. */
  logitRows: BufferRange
}

/** Most chunks a step can hold: every segment may end in a short one. */
export function maxChunks(limits: StepLimits): number {
  return Math.floor(limits.tokens / CHUNK) + limits.segments
}

const SEGMENT_WORDS = 5
const CHUNK_WORDS = 4

export class StepBuffer {
  readonly tables: StepTables
  readonly #words: Uint32Array<ArrayBuffer>
  readonly #at: Record<keyof StepTables, number>

  private constructor(
    readonly buffer: GPUBuffer,
    readonly limits: StepLimits,
    offsets: Record<keyof StepTables, number>,
    words: number,
  ) {
    this.#words = new Uint32Array(words)
    this.#at = offsets
    const sizes = tableWords(limits)
    const range = (name: keyof StepTables): BufferRange => ({
      buffer,
      offset: offsets[name] * 4,
      size: sizes[name] * 4,
    })
    this.tables = {
      counts: range('counts'),
      tokens: range('tokens'),
      segments: range('segments'),
      chunks: range('chunks'),
      segmentOf: range('segmentOf'),
      logitRows: range('logitRows'),
    }
  }

  static async create(buffers: Buffers, limits: StepLimits): Promise<StepBuffer> {
    const offsets = {} as Record<keyof StepTables, number>
    let words = 0
    for (const [name, size] of Object.entries(tableWords(limits))) {
      offsets[name as keyof StepTables] = words
      words += alignUp(size, BINDING_ALIGNMENT / 4)
    }
    const usage = Usage.STORAGE | Usage.UNIFORM | Usage.COPY_DST
    const buffer = await buffers.create('step', words * 4, usage)
    return new StepBuffer(buffer, limits, offsets, words)
  }

  /**
   * Uploads a step. Decode segments must come first.
   * @returns counts for the program's dispatches.
   */
  write(queue: GPUQueue, segments: readonly Segment[]): StepCounts {
    const counts = { tokens: 0, decodes: 0, segments: segments.length, chunks: 0, logitRows: 0 }
    const words = this.#words
    const at = this.#at
    for (const [index, segment] of segments.entries()) {
      const { tokens } = segment
      invariant(tokens.length > 0, 'a segment holds at least one token')
      invariant(counts.tokens + tokens.length <= this.limits.tokens, 'step over its token limit')
      if (segment.decode) {
        invariant(tokens.length === 1 && counts.decodes === index, 'decode rows come first')
        counts.decodes++
      }
      const first = counts.tokens
      words.set(
        [segment.slot, first, tokens.length, segment.position, counts.chunks],
        at.segments + index * SEGMENT_WORDS,
      )
      words.set(tokens, at.tokens + first)
      words.fill(index, at.segmentOf + first, at.segmentOf + first + tokens.length)
      if (!segment.decode) {
        for (let start = 0; start < tokens.length; start += CHUNK) {
          const length = Math.min(CHUNK, tokens.length - start)
          words.set([index, first + start, length, 0], at.chunks + counts.chunks * CHUNK_WORDS)
          counts.chunks++
        }
      }
      const wanted = logitRowsOf(segment)
      invariant(counts.logitRows + wanted <= this.limits.logitRows, 'step over its logit limit')
      for (let i = 0; i < wanted; i++) {
        words[at.logitRows + counts.logitRows++] = first + tokens.length - wanted + i
      }
      counts.tokens += tokens.length
    }
    invariant(counts.segments <= this.limits.segments, 'step over its segment limit')
    const { tokens, decodes, chunks, logitRows } = counts
    words.set([tokens, decodes, segments.length, chunks, logitRows], at.counts)
    queue.writeBuffer(this.buffer, 0, words)
    return counts
  }
}

function tableWords(limits: StepLimits): Record<keyof StepTables, number> {
  return {
    counts: 8,
    tokens: limits.tokens,
    segments: limits.segments * SEGMENT_WORDS,
    chunks: maxChunks(limits) * CHUNK_WORDS,
    segmentOf: limits.tokens,
    logitRows: limits.logitRows,
  }
}

// The work list of one step as kernels read it: one buffer, one upload a step. kernels/step.wgsl
// declares the same structures.
import { invariant } from '../errors.ts'
import { alignUp, BINDING_ALIGNMENT, type BufferRange, type Buffers, Usage } from './buffers.ts'
import type { StepCounts } from './program.ts'

/** Tokens in a chunk of the chunked prompt form; prompt slices end at multiples of it. */
export const CHUNK = 64

/**
 * In place of a token id: the token that was sampled last for the segment's slot, which the host may
 * not know yet.
 */
export const SAMPLED = -1

/** A run of consecutive tokens of one sequence. */
export interface Segment {
  /** Row of the state pool. */
  slot: number
  /** Token ids; one, or SAMPLED, for a decode row. */
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

/**
 * What is done with one row of logits: a token is drawn for a slot, or a given token is scored.
 * kernels/sample.wgsl says how; src/engine/sampler.ts is the same in TypeScript.
 */
export interface SampleRow {
  /** Row of the step's logits. */
  logitRow: number
  /** Slot whose bias, mask and history apply, and whose last token the drawn one becomes. */
  slot: number
  /** Scores this token and draws none. */
  target?: number
  /** Best tokens to report with their log-probabilities, 0 to 20; undefined: no log-probabilities. */
  top: number | undefined
  /** log2(e) / temperature as float32; 0 is greedy. */
  scale: number
  /** Keep this many best tokens; 0 is off. */
  topK: number
  /** Share of the weight to keep, in 65536ths; 65536 is off. */
  topP: number
  /** Least weight kept, where the best token has 2^30; 0 is off. */
  minWeight: number
  /** 32 random bits. */
  random: number
  /** The slot's bias [vocabSize] is added to the logits. */
  biased: boolean
  /** The slot's mask says which tokens may be drawn. */
  masked: boolean
  /** Weighs tokens of the slot's history; undefined leaves the history alone. */
  penalties: Penalties | undefined
}

/** float32 numbers. Neutral are 1, 0, 0. */
export interface Penalties {
  /** Divides positive and multiplies negative logits of tokens in the prompt or the completion. */
  repetition: number
  /** Taken off the logits of tokens in the completion. */
  presence: number
  /** The same, for each time that a token occurs there. */
  frequency: number
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
  /** [tokens] u32: token ids, or FROM_SLOT + the slot whose last sampled token is meant. */
  tokens: BufferRange
  /** [segments] Segment. */
  segments: BufferRange
  /** [chunks] Chunk. */
  chunks: BufferRange
  /** [tokens] u32: the segment each token belongs to. */
  segmentOf: BufferRange
  /** [logitRows] u32: token rows whose logits are wanted. */
  logitRows: BufferRange
  /** [logitRows] SampleRow. */
  samples: BufferRange
}

/** Most chunks a step can hold: every segment may begin and end with a short one. */
export function maxChunks(limits: StepLimits): number {
  return Math.floor(limits.tokens / CHUNK) + 2 * limits.segments
}

const SEGMENT_WORDS = 5
const CHUNK_WORDS = 4
const SAMPLE_WORDS = 16
/** Most best tokens that a sample row reports. */
export const MAX_TOP = 20
/** Marks an entry of the token table that holds a slot; kernels/embed.wgsl has the same. */
const FROM_SLOT = 2 ** 31
/** Bits of a sample row; kernels/sample.wgsl has the same. */
const FLAGS = { score: 1, greedy: 2, logprobs: 4, bias: 8, mask: 16, penalties: 32 } as const

export class StepBuffer {
  readonly tables: StepTables
  readonly #words: Uint32Array<ArrayBuffer>
  readonly #floats: Float32Array
  readonly #at: Record<keyof StepTables, number>

  private constructor(
    readonly buffer: GPUBuffer,
    readonly limits: StepLimits,
    offsets: Record<keyof StepTables, number>,
    words: number,
  ) {
    this.#words = new Uint32Array(words)
    this.#floats = new Float32Array(this.#words.buffer)
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
      samples: range('samples'),
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
   * Uploads a step. Decode segments must come first. A step may hold sample rows alone.
   * @param restored rows of logits behind those of the segments that come from elsewhere
   * @returns counts for the program's dispatches.
   */
  write(
    queue: GPUQueue,
    segments: readonly Segment[],
    samples: readonly SampleRow[] = [],
    restored = 0,
  ): StepCounts {
    const counts: StepCounts = {
      tokens: 0,
      decodes: 0,
      segments: segments.length,
      chunks: 0,
      logitRows: 0,
      samples: samples.length,
    }
    const words = this.#words
    const at = this.#at
    invariant(segments.length <= this.limits.segments, 'step over its segment limit')
    for (const [index, segment] of segments.entries()) {
      const { tokens, position } = segment
      invariant(tokens.length > 0, 'a segment holds at least one token')
      invariant(counts.tokens + tokens.length <= this.limits.tokens, 'step over its token limit')
      const first = counts.tokens
      words.set(
        [segment.slot, first, tokens.length, position, counts.chunks],
        at.segments + index * SEGMENT_WORDS,
      )
      words.set(tokens, at.tokens + first)
      words.fill(index, at.segmentOf + first, at.segmentOf + first + tokens.length)
      if (segment.decode) {
        invariant(tokens.length === 1 && counts.decodes === index, 'decode rows come first')
        counts.decodes++
        if (tokens[0] === SAMPLED) words[at.tokens + first] = FROM_SLOT + segment.slot
      } else {
        // Chunks end at multiples of 64 of the sequence, so that they do not depend on the slices.
        for (let start = 0; start < tokens.length; ) {
          const length = Math.min(CHUNK - ((position + start) % CHUNK), tokens.length - start)
          words.set([index, first + start, length, 0], at.chunks + counts.chunks * CHUNK_WORDS)
          counts.chunks++
          start += length
        }
      }
      const wanted = logitRowsOf(segment)
      invariant(counts.logitRows + wanted <= this.limits.logitRows, 'step over its logit limit')
      for (let i = 0; i < wanted; i++) {
        words[at.logitRows + counts.logitRows++] = first + tokens.length - wanted + i
      }
      counts.tokens += tokens.length
    }
    invariant(samples.length <= this.limits.logitRows, 'step over its sample limit')
    invariant(counts.logitRows + restored <= this.limits.logitRows, 'step over its logit limit')
    for (const [index, sample] of samples.entries()) {
      invariant(sample.logitRow < counts.logitRows + restored, 'a sample row without logits')
      this.#writeSample(at.samples + index * SAMPLE_WORDS, sample)
    }
    const { tokens, decodes, chunks, logitRows } = counts
    words.set([tokens, decodes, segments.length, chunks, logitRows, samples.length], at.counts)
    // The sample rows are the largest table and the last one; most steps hold few.
    queue.writeBuffer(this.buffer, 0, words, 0, at.samples + samples.length * SAMPLE_WORDS)
    return counts
  }

  #writeSample(at: number, row: SampleRow): void {
    const { penalties, top = 0 } = row
    invariant(top >= 0 && top <= MAX_TOP, `${top} alternatives asked for, at most ${MAX_TOP}`)
    const flags =
      (row.target === undefined ? 0 : FLAGS.score) |
      (row.scale === 0 ? FLAGS.greedy : 0) |
      (row.top === undefined ? 0 : FLAGS.logprobs) |
      (row.biased ? FLAGS.bias : 0) |
      (row.masked ? FLAGS.mask : 0) |
      (penalties ? FLAGS.penalties : 0)
    this.#words.set([row.logitRow, row.slot, flags, top, row.target ?? 0], at)
    this.#floats[at + 5] = row.scale
    this.#words.set([row.topK, row.topP, row.minWeight, row.random], at + 6)
    const { repetition, presence, frequency } = penalties ?? NO_PENALTIES
    this.#floats.set([repetition, 1 / repetition, presence, frequency], at + 10)
  }
}

const NO_PENALTIES: Penalties = { repetition: 1, presence: 0, frequency: 0 }

function tableWords(limits: StepLimits): Record<keyof StepTables, number> {
  return {
    counts: 8,
    tokens: limits.tokens,
    segments: limits.segments * SEGMENT_WORDS,
    chunks: maxChunks(limits) * CHUNK_WORDS,
    segmentOf: limits.tokens,
    logitRows: limits.logitRows,
    samples: limits.logitRows * SAMPLE_WORDS,
  }
}

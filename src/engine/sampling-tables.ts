// What the sampler knows about each slot beside its sample row: bias, mask and history over the
// vocabulary. A request that uses one writes it when it gets its slot; masks also as they change.
import type { Buffers } from '../gpu/buffers.ts'
import type { SamplingParams } from './request.ts'
import { samplingFields } from './sampler.ts'
import { maskWords } from './token-mask.ts'

/** Bit of a history entry: the token occurs in the prompt. The others count it in the completion. */
const IN_PROMPT = 2 ** 31

export class SamplingTables {
  /** One row of the vocabulary, refilled for each upload. */
  readonly #floats: Float32Array<ArrayBuffer>
  readonly #words: Uint32Array<ArrayBuffer>

  private constructor(
    readonly queue: GPUQueue,
    readonly vocabSize: number,
    /** [slots, vocabSize] f32, added to the logits. */
    readonly bias: GPUBuffer,
    /** [slots, ceil(vocabSize / 32)] u32: bit i % 32 of word i / 32 allows token i. */
    readonly masks: GPUBuffer,
    /** [slots, vocabSize] u32: IN_PROMPT and the times that a token was generated. */
    readonly history: GPUBuffer,
  ) {
    this.#floats = new Float32Array(vocabSize)
    this.#words = new Uint32Array(vocabSize)
  }

  static async create(buffers: Buffers, slots: number, vocabSize: number): Promise<SamplingTables> {
    const bytes = slots * vocabSize * 4
    return new SamplingTables(
      buffers.device.queue,
      vocabSize,
      await buffers.create('logit bias', bytes),
      await buffers.create('token masks', slots * maskWords(vocabSize) * 4),
      await buffers.create('token history', bytes),
    )
  }

  /** Writes bias and history of a request into the rows of its slot; most have none. */
  load(
    slot: number,
    sampling: SamplingParams,
    prompt: readonly number[],
    generated: readonly number[],
  ): void {
    const { biased, penalties } = samplingFields(sampling)
    if (biased) this.#writeBias(slot, sampling.logitBias!)
    if (penalties) this.#writeHistory(slot, prompt, generated)
  }

  /** Writes the mask of a slot for the steps submitted after this: maskWords(vocabSize) words. */
  writeMask(slot: number, words: Uint32Array<ArrayBuffer>): void {
    this.queue.writeBuffer(this.masks, slot * words.byteLength, words)
  }

  #writeBias(slot: number, bias: ReadonlyMap<number, number>): void {
    this.#floats.fill(0)
    for (const [id, value] of bias) this.#floats[id] = value
    this.queue.writeBuffer(this.bias, slot * this.vocabSize * 4, this.#floats)
  }

  #writeHistory(slot: number, prompt: readonly number[], generated: readonly number[]): void {
    this.#words.fill(0)
    for (const id of prompt) this.#words[id] = IN_PROMPT
    for (const id of generated) this.#words[id]++
    this.queue.writeBuffer(this.history, slot * this.vocabSize * 4, this.#words)
  }
}

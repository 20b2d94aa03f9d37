// One request on its way through the engine. Steps are submitted before the results of earlier ones
// are known, so a sequence has two ages: what was submitted, and what has come back.
import type { OutputText } from '../text/output-text.ts'
import type { GenerationStream } from './generation.ts'
import type { Moments } from './observer.ts'
import type { CacheUse, GenerationRequest, PromptLogprob } from './request.ts'
import { type SamplingFields, samplingFields } from './sampler.ts'
import type { TokenMask } from './token-mask.ts'

export interface SequenceOptions {
  request: GenerationRequest
  /** Seed of the request, or a random one. */
  seed: bigint
  /** Most tokens to generate, within the model's bound. */
  maxTokens: number
  text: OutputText
  /** Which tokens may be drawn; undefined: all of them, always. */
  mask?: TokenMask
  stream: GenerationStream
  /** Milliseconds on the engine's clock. */
  arrival?: number
}

export class Sequence {
  readonly request: GenerationRequest
  /** How its tokens are drawn, as the sample rows of steps say it. */
  readonly sampling: SamplingFields
  readonly seed: bigint
  readonly text: OutputText
  readonly mask: TokenMask | undefined
  readonly stream: GenerationStream
  readonly arrival: number
  /** When it began to wait for a slot, on the engine's clock. */
  queuedSince: number
  readonly priority: number

  /** Row of the state pool while running. */
  slot: number | undefined
  /** Tokens, of the prompt and then generated, whose effect the steps made so far bring. */
  position = 0
  /** The same, without the step that is being made. */
  submitted = 0
  /** Tokens that the steps made so far draw. */
  sampled = 0
  /** Submitted steps whose results are not here yet. */
  inFlight = 0
  /** Above 0 while no step may be submitted, because its state is about to be copied. */
  held = 0
  /** Prompt positions where slices end so that the state there can be kept; ascending. */
  cuts: number[] = []
  /** The sequence that computes the prompt for this one, too. */
  parent: Sequence | undefined
  /** The sequence that is about to keep the state at a common prompt position. */
  awaited: { producer: Sequence; position: number } | undefined

  /** Tokens drawn and known. */
  readonly generated: number[] = []
  /** Of those, the ones taken over from a forked generation, which are not reported. */
  inherited = 0
  /** Most tokens in `generated`. */
  maxTokens: number
  /** One entry per prompt token scored so far, if the request wants them. */
  readonly promptLogprobs: PromptLogprob[] = [undefined]
  readonly cache: CacheUse = { read: 0, written: 0 }
  readonly moments: Moments = {}

  constructor(options: SequenceOptions) {
    this.request = options.request
    this.mask = options.mask
    this.sampling = {
      ...samplingFields(options.request.sampling),
      // Not for banned ids alone: a grammar and least lengths mask tokens, too.
      masked: this.mask !== undefined,
    }
    this.seed = options.seed
    this.maxTokens = options.maxTokens
    this.text = options.text
    this.stream = options.stream
    this.arrival = options.arrival ?? 0
    this.queuedSince = this.arrival
    this.priority = options.request.priority ?? 0
  }

  /** True until the whole prompt has been submitted. */
  get prefilling(): boolean {
    return this.position < this.request.prompt.length
  }

  /** True if the next step may hold a decode row of it. */
  get decodes(): boolean {
    const isDrawing = this.sampled > 0 && this.sampled < this.maxTokens
    return !this.prefilling && isDrawing && this.held === 0 && this.mask?.isReady !== false
  }

  get scoresPrompt(): boolean {
    return this.request.promptLogprobs !== undefined
  }

  /** True while the sequence that computes its prompt is on the way to its end. */
  get waitsForParent(): boolean {
    const { parent } = this
    return parent !== undefined && !parent.stream.ended && parent.prefilling
  }

  /** The other sequence whose computation this one waits for, if it still does. */
  get provider(): Sequence | undefined {
    const { parent, awaited } = this
    if (this.waitsForParent) return parent
    if (!awaited) return undefined
    const { producer, position } = awaited
    return producer.stream.ended || producer.submitted >= position ? undefined : producer
  }

  /** Where the next slice of the prompt ends at the latest. */
  get nextCut(): number {
    const { prompt } = this.request
    return this.cuts.find((cut) => cut > this.position) ?? prompt.length
  }

  /** Takes over what another sequence, of which no step is in flight, has computed. */
  continueFrom(other: Sequence): void {
    this.position = other.position
    this.submitted = other.position
    this.sampled = other.sampled
    // No spread: a long generation has more tokens than a call takes arguments.
    for (const id of other.generated) this.generated.push(id)
    this.inherited = this.generated.length
    this.maxTokens += this.inherited
    this.text.setContext([...this.request.prompt, ...this.generated])
  }

  /** Ends slices at this prompt position, if it still lies ahead. */
  addCut(position: number): void {
    if (position <= this.position || position >= this.request.prompt.length) return
    if (this.cuts.includes(position)) return
    this.cuts.push(position)
    this.cuts.sort((a, b) => a - b)
  }
}

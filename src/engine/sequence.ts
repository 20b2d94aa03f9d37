// One request on its way through the engine.
import type { OutputText } from '../text/output-text.ts'
import type { GenerationStream } from './generation.ts'
import type { GenerationRequest, PromptLogprob } from './request.ts'

export class Sequence {
  /** Row of the state pool while running. */
  slot: number | undefined
  /** Tokens whose effect is in the state: of the prompt, then of the generated ones. */
  position = 0
  readonly generated: number[] = []
  /** One entry per prompt token scored so far, if the request wants them. */
  readonly promptLogprobs: PromptLogprob[] = [undefined]

  constructor(
    readonly request: GenerationRequest,
    /** Seed of the request, or a random one. */
    readonly seed: bigint,
    readonly maxTokens: number,
    readonly text: OutputText,
    readonly stream: GenerationStream,
  ) {}

  /** True until the whole prompt is in the state. */
  get prefilling(): boolean {
    return this.position < this.request.prompt.length
  }

  get scoresPrompt(): boolean {
    return this.request.promptLogprobs !== undefined
  }
}

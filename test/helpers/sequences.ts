// Sequences for tests of the scheduler, which looks at their lengths and not at their tokens.
import { GenerationStream } from '../../src/engine/generation.ts'
import type { GenerationRequest } from '../../src/engine/request.ts'
import type { Scheduler } from '../../src/engine/scheduler.ts'
import { Sequence } from '../../src/engine/sequence.ts'
import { OutputText } from '../../src/text/output-text.ts'

export interface SequenceShape
  extends Partial<Pick<GenerationRequest, 'id' | 'maxTokens' | 'priority' | 'promptLogprobs'>> {
  /** Tokens of the prompt. */
  length: number
  /** Computes the prompt for this one, too. */
  parent?: Sequence
}

const NO_TOKENS = {
  bytes: () => new Uint8Array(),
  isSpecial: () => false,
  stripsLeadingSpace: false,
}

export const GREEDY = { temperature: 0, topP: 1, topK: 0, minP: 0, seed: undefined }

export function makeSequence({ length, parent, ...more }: SequenceShape): Sequence {
  const prompt = new Array<number>(length).fill(1)
  const request = { id: 's', prompt, maxTokens: 10, sampling: GREEDY, stop: [], ...more }
  const sequence = new Sequence({
    request,
    seed: 0n,
    maxTokens: request.maxTokens,
    text: new OutputText(NO_TOKENS, prompt),
    stream: new GenerationStream(request.id, length, () => {}),
  })
  sequence.parent = parent
  return sequence
}

/** Ends a sequence as the engine does: it is forgotten, and whoever waits for it knows. */
export function endSequence(scheduler: Scheduler, sequence: Sequence): void {
  scheduler.remove(sequence)
  sequence.stream.abort()
}

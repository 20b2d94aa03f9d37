// What all log-probabilities in replies have in common.

import type { PromptTokenizer } from '../context.ts'

/** Least log-probability that is sent, as at OpenAI: JSON has no infinity. */
const FLOOR = -9999

/** A log-probability as it may be sent. */
export function bounded(logprob: number): number {
  return Math.max(FLOOR, logprob)
}

/** How tokens are named in log-probabilities: by their text or, if asked for, as `token_id:5`. */
export function tokenNames(
  tokenizer: Pick<PromptTokenizer, 'display'>,
  asIds: boolean,
): (id: number) => string {
  return asIds ? (id) => `token_id:${id}` : (id) => tokenizer.display(id)
}

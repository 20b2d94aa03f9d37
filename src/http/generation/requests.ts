// From checked fields to running generations: the door, the grammar, the engine's requests.

import type { Context } from 'hono'
import type { GenerationRequest } from '../../engine/request.ts'
import { ApiError } from '../../errors.ts'
import type { GuideFactory } from '../../grammar/guide.ts'
import type { AppEnv, ServerContext } from '../context.ts'
import { badField } from '../fields/errors.ts'
import type { GenerationFields } from '../fields/generation.ts'
import { checkTokenIds, sampleSeed, toSampling } from '../fields/sampling.ts'
import { type NamedSpec, structureOf } from '../fields/structured.ts'
import { bannedRuns } from './bad-words.ts'
import { Batch } from './batch.ts'

/** What the engine reads before it generates. */
export interface PromptTokens {
  tokens: readonly number[]
  /** Positions in tokens where the state is to be kept; each from 1 to the prompt's length. */
  breakpoints: readonly number[]
  /** The field that holds them, for messages. */
  param: string
}

/** The same with its text, as `echo` repeats it. */
export interface EncodedPrompt extends PromptTokens {
  text: string
}

/** How many samples of each prompt, and the field that asks for them. */
export interface Samples {
  count: number
  field: 'n' | 'best_of'
}

/** What a route wants of its generations, beside the fields that all routes have. */
export interface GenerationPlan {
  /** Id of the reply; those of the generations begin with it. */
  id: string
  body: GenerationFields
  prompts: readonly PromptTokens[]
  /** Samples of each prompt. */
  samples: number
  /** Most tokens to generate after a prompt of this many. */
  maxTokens(promptTokens: number): number
  /** Alternatives to report beside each generated token; undefined: no log-probabilities. */
  logprobs?: number
  /** The same for prompt tokens. */
  promptLogprobs?: number
  /** The format of the answer, where the route and not a field decides it. */
  structure?: NamedSpec
}

/**
 * Starts the generations of a request that `checkAtDoor` let in, prompt by prompt, the samples of
 * each side by side. Everything that can be wrong is found here, before a status is sent: throws ApiError 400 for bad
 * fields, 429 if the queue is full.
 */
export async function startGenerations(
  c: Context<AppEnv>,
  server: ServerContext,
  plan: GenerationPlan,
): Promise<Batch> {
  const { engine, grammars, tokenizer } = server
  const record = c.get('record')
  for (const { tokens } of plan.prompts) {
    record.addPrompt(() => tokenizer.decode(tokens, { skipSpecialTokens: false }))
  }
  const structure = plan.structure ?? structureOf(plan.body)
  const guide = structure && (await grammars.compile(structure.spec, structure.param))
  const requests = toRequests(plan, guide, server)
  // Others may have come since the first look; from here to the queue nothing waits.
  checkQueue(plan.prompts.length * plan.samples, server)
  try {
    return Batch.submit(engine, requests, record, c.req.raw.signal)
  } catch (error) {
    throw inField(error, plan.prompts)
  }
}

/** What the engine says of a prompt, said of the field that the prompt came from. */
function inField(error: unknown, prompts: readonly PromptTokens[]): unknown {
  const isOfPrompt = error instanceof ApiError && error.param === 'prompt'
  if (!isOfPrompt || prompts.length > 1) return error
  return new ApiError(error.status, error.message, { param: prompts[0].param, code: error.code })
}

/**
 * Turns a request away while that is cheap: before its prompts are tokenized. Throws ApiError 400
 * if it could never be admitted, 429 if the queue is full now.
 * @param prompts their number
 */
export function checkAtDoor(
  prompts: number,
  samples: Samples,
  body: GenerationFields,
  server: ServerContext,
): void {
  checkTokenIds(body, server.tokenizer.vocabSize)
  const generations = prompts * samples.count
  const room = server.engine.stats().slots + server.limits.maxQueue
  if (generations > room) {
    throw new ApiError(
      400,
      `prompts times ${samples.field} is ${generations}; at most ${room} are allowed`,
      { param: prompts > 1 ? 'prompt' : samples.field },
    )
  }
  checkQueue(generations, server)
}

function checkQueue(generations: number, { engine, limits }: ServerContext): void {
  const { freeSlots, waiting } = engine.stats()
  if (waiting + generations <= freeSlots + limits.maxQueue) return
  throw new ApiError(429, `the queue is full: ${waiting} sequences are waiting`, {
    code: 'queue_full',
    retryAfter: 1,
  })
}

function toRequests(
  plan: GenerationPlan,
  guide: GuideFactory | undefined,
  { model, tokenizer }: ServerContext,
): GenerationRequest[][] {
  const { body, samples } = plan
  const sampling = toSampling(body, model.sampling)
  if (body.bad_words.length > 0) {
    sampling.bannedSequences = bannedRuns(body.bad_words, tokenizer)
  }
  return plan.prompts.map(({ tokens, breakpoints, param }, promptIndex) => {
    checkBreakpoints(breakpoints, tokens.length, param)
    return Array.from({ length: samples }, (_, sample) => ({
      id: `${plan.id}-${promptIndex * samples + sample}`,
      prompt: tokens,
      maxTokens: plan.maxTokens(tokens.length),
      sampling: { ...sampling, seed: sampleSeed(body.seed, sample) },
      stop: body.stop,
      includeStop: body.include_stop_str_in_output,
      stopTokenIds: body.stop_token_ids,
      ignoreEos: body.ignore_eos,
      minTokens: body.min_tokens,
      skipSpecialTokens: body.skip_special_tokens,
      guide,
      logprobs: plan.logprobs,
      promptLogprobs: plan.promptLogprobs,
      priority: body.priority,
      cacheSalt: body.cache_salt,
      cacheBreakpoints: [...new Set(breakpoints)].sort((a, b) => a - b),
    }))
  })
}

function checkBreakpoints(positions: readonly number[], length: number, prompt: string): void {
  const beyond = positions.find((position) => position > length)
  if (beyond === undefined) return
  const expected = `at most ${length}, the number of tokens of ${prompt}`
  throw badField('prompt_cache_breakpoint', expected, beyond)
}

// From checked fields to running generations: the grammar, and the engine's requests.

import type { Context } from 'hono'
import type { GenerationRequest } from '../../engine/request.ts'
import { ApiError } from '../../errors.ts'
import type { GuideFactory } from '../../grammar/guide.ts'
import type { AppEnv, ServedModel, ServerContext } from '../context.ts'
import { badField } from '../fields/errors.ts'
import type { GenerationFields } from '../fields/generation.ts'
import { checkTokenIds, sampleSeed, toSampling } from '../fields/sampling.ts'
import { type NamedSpec, structureOf } from '../fields/structured.ts'
import { bannedRuns } from './bad-words.ts'
import { Batch } from './batch.ts'
import type { Samples } from './door.ts'

/** What the engine reads before it generates. */
export interface PromptTokens {
  tokens: readonly number[]
  /** Positions in tokens where the state is to be kept; each from 1 to the prompt's length. */
  breakpoints: readonly number[]
  /** The field that holds them, for messages. */
  param: string
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
 * Turns a request away while that is cheap, before its prompts are tokenized. Throws ApiError 400
 * for token ids that do not exist or more generations than could be admitted, 429 if the queue is full.
 * @param prompts their number
 */
export function checkAtDoor(
  prompts: number,
  samples: Samples,
  body: GenerationFields,
  { door, tokenizer }: ServerContext,
): void {
  checkTokenIds(body, tokenizer.vocabSize)
  door.check(prompts, samples)
}

/**
 * Starts the generations of a request that `checkAtDoor` let in, prompt by prompt, the samples of
 * each side by side. Throws ApiError 400 for what is wrong with a prompt or the format of the answer,
 * 429 if the queue is full by now; all before a status is sent.
 */
export async function startGenerations(
  c: Context<AppEnv>,
  server: ServerContext,
  plan: GenerationPlan,
): Promise<Batch> {
  const { door, engine, grammars, tokenizer } = server
  const record = c.get('record')
  const { signal } = c.req.raw
  record.model = server.model.ids[0]
  record.maxTokens = Math.max(...plan.prompts.map(({ tokens }) => plan.maxTokens(tokens.length)))
  for (const { tokens } of plan.prompts) {
    record.addPrompt(() => tokenizer.decode(tokens, { skipSpecialTokens: false }))
  }
  const structure = plan.structure ?? structureOf(plan.body)
  return door.hold(plan.prompts.length * plan.samples, async () => {
    const guide = structure && (await grammars.compile(structure.spec, structure.param))
    if (signal.aborted) throw new ApiError(499, 'the client left')
    return Batch.submit(engine, toRequests(plan, guide, server), record, signal)
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
    checkLength(tokens.length, plan, param, model)
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

/** Of all prompts before one is started; the engine would say the same of each. */
function checkLength(
  length: number,
  plan: GenerationPlan,
  prompt: string,
  { maxModelLen }: ServedModel,
): void {
  if (maxModelLen === undefined) return
  if (length + Math.min(plan.maxTokens(length), 1) <= maxModelLen) return
  const message = `${prompt} has ${length} tokens; the model takes ${maxModelLen} with the completion`
  throw new ApiError(400, message, { param: prompt, code: 'context_length_exceeded' })
}

function checkBreakpoints(positions: readonly number[], length: number, prompt: string): void {
  const beyond = positions.find((position) => position > length)
  if (beyond === undefined) return
  const expected = `at most ${length}, the number of tokens of ${prompt}`
  throw badField('prompt_cache_breakpoint', expected, beyond)
}

// What came back for a request of the soak, and whether it can be right by itself.
import type {
  GenerationRequest,
  Output,
  OutputToken,
  PromptLogprob,
} from '../../src/engine/request.ts'
import type { Tokenizer } from '../../src/text/tokenizer.ts'

/** Everything a reader got. */
export interface Answer {
  text: string
  tokens: OutputToken[]
  promptLogprobs: PromptLogprob[] | undefined
  /** Undefined if the reader gave up before the end. */
  finish: Output['finish']
  cache: Output['cache']
}

/** A request, what it got, and how much of that another generation had drawn before it. */
export interface Record {
  request: GenerationRequest
  answer: Answer
  /** For forks: tokens of the original's text at the point of the fork. */
  inherited?: number
}

export interface Vocabulary {
  tokenizer: Pick<Tokenizer, 'decode'>
  eosTokenIds: readonly number[]
}

export function emptyAnswer(): Answer {
  return { text: '', tokens: [], promptLogprobs: undefined, finish: undefined, cache: undefined }
}

export function addOutput(answer: Answer, output: Output): void {
  answer.text += output.text
  answer.tokens.push(...output.tokens)
  answer.promptLogprobs ??= output.promptLogprobs
  answer.finish = output.finish
  answer.cache = output.cache
}

/**
 * Whether an answer fits its request, whatever the model says.
 * @param context ids before the answer; left out: the prompt
 * @returns what is wrong
 */
export function* checkAnswer(
  { request, answer }: Record,
  vocabulary: Vocabulary,
  context: readonly number[] = request.prompt,
): Generator<string> {
  const { text, tokens, finish, cache } = answer
  const ids = tokens.map(({ id }) => id)
  if (ids.length > request.maxTokens) yield `${ids.length} tokens of ${request.maxTokens}`
  yield* checkScores(request, answer)
  yield* checkMasks(request, ids)
  const whole = vocabulary.tokenizer.decode(ids, { after: context })
  const stop = request.stop.find((each) => text.includes(each))
  if (stop !== undefined) yield `stop string ${JSON.stringify(stop)} in the text`
  if (finish === undefined) {
    if (!whole.startsWith(text)) yield `text ${quote(text)} of tokens that say ${quote(whole)}`
    return
  }
  if (cache === undefined) yield 'no account of the prefix cache'
  else if (cache.read < 0 || cache.read + cache.written > request.prompt.length) {
    yield `${cache.read} tokens read from the cache, ${cache.written} written`
  }
  if (typeof finish.stop === 'string') {
    if (!request.stop.includes(finish.stop)) yield `ended by ${quote(finish.stop)}`
    if (!whole.startsWith(text + finish.stop)) yield `${quote(text)} is not up to the stop string`
    return
  }
  if (whole !== text) yield `text ${quote(text)} of tokens that say ${quote(whole)}`
  if (finish.reason === 'length') {
    if (ids.length !== request.maxTokens) yield `length after ${ids.length}/${request.maxTokens}`
  } else if (finish.stop !== ids.at(-1) || !vocabulary.eosTokenIds.includes(ids.at(-1) ?? -1)) {
    yield `stop ${finish.stop} after token ${ids.at(-1)}`
  } else if (request.ignoreEos) {
    yield 'ended by a token that was to be ignored'
  }
}

function* checkScores(request: GenerationRequest, answer: Answer): Generator<string> {
  const { logprobs, promptLogprobs, prompt } = request
  for (const { id, logprob, top } of answer.tokens) {
    if (logprobs === undefined) {
      if (logprob !== undefined) yield `log-probability of ${id}, not asked for`
    } else if (!isLogprob(logprob) || top?.length !== logprobs) {
      yield `token ${id} with log-probability ${logprob} and ${top?.length} others`
    }
  }
  const scores = answer.promptLogprobs
  if (promptLogprobs === undefined || (scores === undefined && answer.finish === undefined)) return
  if (scores?.length !== prompt.length) yield `${scores?.length} scores of ${prompt.length} tokens`
  for (const [i, score] of scores?.entries() ?? []) {
    const isRight = i === 0 ? score === undefined : score?.id === prompt[i]
    if (!isRight || (i > 0 && !isLogprob(score?.logprob))) yield `score ${i}: ${score?.logprob}`
  }
}

function* checkMasks({ sampling }: GenerationRequest, ids: readonly number[]): Generator<string> {
  const { allowedTokenIds, bannedTokenIds } = sampling
  for (const id of ids) {
    if (bannedTokenIds?.includes(id)) yield `banned token ${id}`
    if (allowedTokenIds && !allowedTokenIds.includes(id)) yield `token ${id}, not allowed`
  }
}

/**
 * Compares an answer with what the same request got alone, to the last bit.
 * @param inherited tokens at the start of `alone` that the answer does not report
 * @returns what differs
 */
export function* compareAnswers(answer: Answer, alone: Answer, inherited = 0): Generator<string> {
  const end = answer.finish ? undefined : inherited + answer.tokens.length
  const expected = alone.tokens.slice(inherited, end)
  if (!Bun.deepEquals(answer.tokens, expected, true)) {
    yield `tokens ${show(answer.tokens)}, alone ${show(expected)}`
  }
  if (inherited > 0) return
  const isText = answer.finish ? answer.text === alone.text : alone.text.startsWith(answer.text)
  if (!isText) yield `text ${quote(answer.text)}, alone ${quote(alone.text)}`
  if (!answer.finish) return
  if (!Bun.deepEquals(answer.finish, alone.finish, true)) {
    yield `end ${JSON.stringify(answer.finish)}, alone ${JSON.stringify(alone.finish)}`
  }
  if (!Bun.deepEquals(answer.promptLogprobs, alone.promptLogprobs, true)) {
    yield 'prompt log-probabilities differ from those alone'
  }
}

function isLogprob(value: number | undefined): boolean {
  return value !== undefined && Number.isFinite(value) && value < 1e-5
}

function quote(text: string): string {
  return JSON.stringify(text)
}

function show(tokens: readonly OutputToken[]): string {
  return tokens
    .map(({ id, logprob }) => (logprob === undefined ? id : `${id}:${logprob}`))
    .join(' ')
}

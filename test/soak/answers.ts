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
  const { tokens, finish, cache } = answer
  const ids = tokens.map(({ id }) => id)
  if (ids.length > request.maxTokens) yield `${ids.length} tokens of ${request.maxTokens}`
  yield* checkScores(request, answer)
  yield* checkMasks(request, ids)
  const decode = (some: readonly number[]) =>
    vocabulary.tokenizer.decode(some, {
      after: context,
      skipSpecialTokens: request.skipSpecialTokens,
    })
  yield* checkText(request, answer, decode)
  yield* checkOffsets(answer, decode)
  yield* checkEnd(request, answer, vocabulary.eosTokenIds)
  if (finish === undefined) return
  if (cache === undefined) yield 'no account of the prefix cache'
  else if (cache.read < 0 || cache.read + cache.written > request.prompt.length) {
    yield `${cache.read} tokens read from the cache, ${cache.written} written`
  }
}

type Decode = (ids: readonly number[]) => string

function* checkText(request: GenerationRequest, answer: Answer, decode: Decode): Generator<string> {
  const { text, tokens, finish } = answer
  const { stop, includeStop, minTokens = 0 } = request
  const ids = tokens.map(({ id }) => id)
  const isCut = typeof finish?.stop === 'number' && !includeStop
  const whole = decode(isCut ? ids.slice(0, -1) : ids)
  const isWhole = finish !== undefined && typeof finish.stop !== 'string'
  if (isWhole ? whole !== text : !whole.startsWith(text)) {
    yield `text ${quote(text)} of tokens that say ${quote(whole)}`
  }
  const ended = typeof finish?.stop === 'string' ? finish.stop : ''
  if (ended !== '' && !stop.includes(ended)) yield `ended by ${quote(ended)}`
  const before = includeStop ? text.slice(0, text.length - ended.length) : text
  if (!whole.startsWith(before + ended)) yield `${quote(text)} is not up to the stop string`
  // What is said before the least length may be anything.
  const early = minTokens > 0 ? undefined : stop.find((each) => before.includes(each))
  if (early !== undefined) yield `stop string ${quote(early)} in the text`
}

function* checkOffsets({ tokens }: Answer, decode: Decode): Generator<string> {
  const ids = tokens.map(({ id }) => id)
  for (const [i, { offset }] of tokens.entries()) {
    const before = decode(ids.slice(0, i))
    // The token may go on with a character that is not finished before it.
    const isOpen = before.endsWith('\ufffd')
    const length = [...before].length
    if (offset !== length && !(isOpen && offset === length - 1)) {
      yield `token ${i} at ${offset} after ${quote(before)}`
    }
  }
}

/** Whether the generation ended when it had to, and by what may end it. */
function* checkEnd(
  request: GenerationRequest,
  { tokens, finish }: Answer,
  eosTokenIds: readonly number[],
): Generator<string> {
  const { maxTokens, minTokens = 0, stopTokenIds = [], ignoreEos, guide } = request
  const ids = tokens.map(({ id }) => id)
  const ends = [...stopTokenIds, ...(ignoreEos && !guide ? [] : eosTokenIds)]
  const last = ids.at(-1) ?? -1
  const isStopToken = typeof finish?.stop === 'number'
  const early = (isStopToken ? ids.slice(0, -1) : ids).find((id) => ends.includes(id))
  if (early !== undefined) yield `goes on after ${early}`
  if (finish?.reason === 'length' && ids.length !== maxTokens) {
    yield `length after ${ids.length}/${maxTokens}`
  }
  if (isStopToken && (finish.stop !== last || !ends.includes(last))) {
    yield `stop ${finish.stop} after token ${last}`
  }
  // Nothing but a grammar ends before.
  const isEarly = finish?.reason === 'stop' && ids.length <= minTokens
  if (isEarly && !(isStopToken && guide)) yield `ended after ${ids.length} tokens of ${minTokens}`
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

function* checkMasks(
  { sampling, guide: makeGuide }: GenerationRequest,
  ids: readonly number[],
): Generator<string> {
  const { allowedTokenIds, bannedTokenIds, bannedSequences = [] } = sampling
  for (const run of bannedSequences) {
    if (`,${ids},`.includes(`,${run},`)) yield `banned run ${run}`
  }
  using guide = makeGuide?.()
  try {
    for (const id of ids) guide?.accept(id)
  } catch (error) {
    yield `not of the grammar: ${error}`
  }
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
  // The text of a fork begins with it.
  const comparable = (tokens: readonly OutputToken[]) =>
    inherited === 0 ? tokens : tokens.map((token) => ({ ...token, offset: 0 }))
  const [own, expected] = [answer.tokens, alone.tokens.slice(inherited, end)].map(comparable)
  if (!Bun.deepEquals(own, expected, true)) {
    yield `tokens ${show(own)}, alone ${show(expected)}`
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

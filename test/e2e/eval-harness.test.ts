// Log-likelihoods as evaluation harnesses ask for them, through `echo`, against the model itself:
// the decoder's logits, normalized in float64, and the float64 loss trace beside each checkpoint.

import { afterAll, beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import { Tokenizer } from '../../src/text/tokenizer.ts'
import sentences from '../fixtures/heldout-sentences.json'
import { checkingFetch } from '../helpers/checking-fetch.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { openTestModel, shipped, slice } from '../helpers/model.ts'
import { type ServerProcess, startServer } from '../helpers/server.ts'
import type { Json } from '../http/test-app.ts'

const gpu = await openTestGpu()
const folder = join(shipped, 'tales-gla-5m')
const request = checkingFetch()

/** What a harness makes of a reply: nats, and whether greedy decoding would have said the same. */
interface Answer {
  logLikelihood: number
  isGreedy: boolean
}

/** A text whose tokens from each split on are judged as the continuation of those before it. */
interface Question {
  ids: number[]
  splits: number[]
  expected: Answer[]
}

/** Prompts in one request, as harnesses batch them. */
const BATCH = 10

/**
 * In nats per token. Both sides run the same kernels over the same weights; what differs is the
 * log-softmax, which the server takes in float32: off by 2.1e-6 at most, on values down to -16.7.
 */
const TOLERANCE = 1e-5

let server: ServerProcess
const questions: Question[] = []

beforeAll(async () => {
  server = await startServer([folder, '--kernels', 'plain', '--batch-invariant'])
  const tokenizer = await Tokenizer.open(
    join(folder, 'tokenizer.json'),
    join(folder, 'tokenizer_config.json'),
  )
  const model = await openTestModel(gpu, folder, 'plain')
  for (const sentence of sentences) {
    const ids = tokenizer.encode(sentence)
    const logits = await model.run([slice(0, ids, 0)])
    const rows = rowsOf(logits, model.decoder.vocabSize)
    // A whole second half, and a last token alone, which greedy decoding often hits.
    const splits = [ids.length >> 1, ids.length - 1]
    questions.push({ ids, splits, expected: splits.map((split) => answerOf(ids, split, rows)) })
  }
}, 120_000)

afterAll(() => server?.[Symbol.asyncDispose](), 60_000)

function rowsOf(logits: Float32Array, width: number): Float32Array[] {
  return Array.from({ length: logits.length / width }, (_, row) =>
    logits.subarray(row * width, (row + 1) * width),
  )
}

/** The row before a token predicts it. */
function answerOf(ids: number[], split: number, rows: Float32Array[]): Answer {
  const answer = { logLikelihood: 0, isGreedy: true }
  for (let index = split; index < ids.length; index++) {
    const row = rows[index - 1]
    const largest = row.reduce((a, b) => Math.max(a, b))
    const sum = row.reduce((total, logit) => total + Math.exp(logit - largest), 0)
    answer.logLikelihood += row[ids[index]] - largest - Math.log(sum)
    answer.isGreedy &&= row[ids[index]] === largest
  }
  return answer
}

async function complete(body: object): Promise<Json> {
  const reply = await request(`${server.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ temperature: 0, echo: true, seed: 1234, ...body }),
  })
  expect(reply.status).toBe(200)
  return reply.json()
}

/** What harnesses do with a choice: with a generated token at its end, they drop it. */
function parseChoice({ logprobs }: Json, context: number, maxTokens: number): Answer {
  const end = logprobs.token_logprobs.length - maxTokens
  const tokens: number[] = logprobs.token_logprobs.slice(context, end)
  const tops: Record<string, number>[] = logprobs.top_logprobs.slice(context, end)
  return {
    logLikelihood: tokens.reduce((sum, logprob) => sum + logprob, 0),
    isGreedy: tokens.every((logprob, index) => logprob === Math.max(...Object.values(tops[index]))),
  }
}

test('the questions have greedy and other answers', () => {
  const greedy = questions.flatMap(({ expected }) => expected.map(({ isGreedy }) => isGreedy))
  expect(greedy).toHaveLength(100)
  expect(greedy.filter((isGreedy) => isGreedy).length).toBeGreaterThan(10)
  expect(greedy.filter((isGreedy) => !isGreedy).length).toBeGreaterThan(40)
})

test.each([0, 1])(
  'log-likelihoods of 50 sentences with max_tokens %p',
  async (maxTokens) => {
    for (let first = 0; first < questions.length; first += BATCH) {
      const batch = questions.slice(first, first + BATCH)
      const prompt = batch.map(({ ids }) => ids)
      const reply = await complete({ prompt, max_tokens: maxTokens, logprobs: 1 })
      expect(reply.choices).toHaveLength(batch.length)
      expect(reply.usage.completion_tokens).toBe(batch.length * maxTokens)
      for (const choice of reply.choices) {
        const { ids, splits, expected } = batch[choice.index]
        for (const array of ['tokens', 'token_logprobs', 'top_logprobs', 'text_offset']) {
          expect(choice.logprobs[array]).toHaveLength(ids.length + maxTokens)
        }
        for (const [index, { logLikelihood, isGreedy }] of expected.entries()) {
          const answer = parseChoice(choice, splits[index], maxTokens)
          const tolerance = TOLERANCE * (ids.length - splits[index])
          expect(Math.abs(answer.logLikelihood - logLikelihood)).toBeLessThan(tolerance)
          expect(answer.isGreedy).toBe(isGreedy)
        }
      }
    }
  },
  120_000,
)

test('the float64 loss trace of 512 tokens', async () => {
  const { long } = await Bun.file(join(folder, 'golden.json')).json()
  const reply = await complete({ prompt: long.ids, max_tokens: 0, logprobs: 0 })
  const [first, ...logprobs]: (number | null)[] = reply.choices[0].logprobs.token_logprobs
  expect(first).toBeNull()
  expect(logprobs).toHaveLength(long.nll_per_token.length)
  for (const [index, nll] of long.nll_per_token.entries()) {
    // The bound of the model's own tests; on the software driver it is 1.2e-5 at most.
    expect(Math.abs(logprobs[index]! + nll)).toBeLessThan(2e-3)
  }
})

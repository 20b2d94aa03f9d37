// The fields of a request body that say how tokens are chosen, and what the engine makes of them.

import { z } from 'zod'
import type { SamplingParams } from '../../engine/request.ts'
import { badField, memberPath } from './errors.ts'
import { numberFrom, recordOf, wholeNumberFrom } from './kinds.ts'

const MAX_BIASES = 1024
const MAX_ALLOWED_TOKENS = 65_536

const topP = 'a number above 0 and at most 1'
const biases = `an object of at most ${MAX_BIASES} token ids with their biases`

/** A list of token ids, to be checked against the vocabulary by `checkTokenIds`. */
export function tokenIds(min: number, max: number) {
  const expected = `a list of ${min === 0 ? 'at most' : `${min} to`} ${max} token ids`
  return z
    .array(wholeNumberFrom(0, 2 ** 31 - 1), expected)
    .min(min, expected)
    .max(max, expected)
}

/** Ids are checked against the vocabulary by `checkTokenIds`. */
export const samplingFields = {
  temperature: numberFrom(0, 2).optional(),
  top_p: z.number(topP).gt(0, topP).max(1, topP).optional(),
  top_k: wholeNumberFrom(-1, 2 ** 31 - 1).optional(),
  min_p: numberFrom(0, 1).optional(),
  seed: wholeNumberFrom(-(2 ** 63), 2 ** 63, 'of 64 bits').optional(),
  // Logits are divided by it: the bounds keep them finite in float32. Texts break far inside them.
  repetition_penalty: numberFrom(0.01, 10).optional(),
  presence_penalty: numberFrom(-2, 2).optional(),
  frequency_penalty: numberFrom(-2, 2).optional(),
  logit_bias: recordOf(MAX_BIASES, numberFrom(-100, 100), biases).optional(),
  allowed_token_ids: tokenIds(1, MAX_ALLOWED_TOKENS).optional(),
}

export type SamplingFields = z.output<z.ZodObject<typeof samplingFields>>

/** Throws ApiError 400 for the first token id that is not below `vocabSize`. */
export function checkTokenIds(
  fields: SamplingFields & { stop_token_ids?: readonly number[] },
  vocabSize: number,
): void {
  const expected = `a token id from 0 to ${vocabSize - 1}`
  for (const key of Object.keys(fields.logit_bias ?? {})) {
    if (/^(0|[1-9]\d*)$/.test(key) && Number(key) < vocabSize) continue
    throw badField(memberPath('logit_bias', key), expected, key)
  }
  for (const name of ['allowed_token_ids', 'stop_token_ids'] as const) {
    const ids = fields[name] ?? []
    const index = ids.findIndex((id) => id >= vocabSize)
    if (index >= 0) throw badField(`${name}.${index}`, expected, ids[index])
  }
}

/** Sampling of the first sample; what the request leaves open comes from `defaults`. */
export function toSampling(
  fields: SamplingFields,
  defaults: Partial<Omit<SamplingParams, 'seed'>> = {},
): SamplingParams {
  const biasEntries = Object.entries(fields.logit_bias ?? {})
  return {
    ...defaults,
    temperature: fields.temperature ?? defaults.temperature ?? 1,
    topP: fields.top_p ?? defaults.topP ?? 1,
    topK: Math.max(0, fields.top_k ?? defaults.topK ?? 0),
    minP: fields.min_p ?? defaults.minP ?? 0,
    seed: fields.seed,
    repetitionPenalty: fields.repetition_penalty ?? defaults.repetitionPenalty,
    presencePenalty: fields.presence_penalty ?? defaults.presencePenalty,
    frequencyPenalty: fields.frequency_penalty ?? defaults.frequencyPenalty,
    logitBias:
      biasEntries.length === 0
        ? defaults.logitBias
        : new Map(biasEntries.map(([id, bias]) => [Number(id), bias])),
    allowedTokenIds: fields.allowed_token_ids ?? defaults.allowedTokenIds,
  }
}

/** The samples of one prompt must differ. 53 bits keep the sum exact as a number. */
export function sampleSeed(seed: number | undefined, sample: number): number | undefined {
  if (seed === undefined) return undefined
  return Number(BigInt.asUintN(53, BigInt(seed) + BigInt(sample)))
}

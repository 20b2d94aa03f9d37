// generation_config.json: what a checkpoint's authors recommend for sampling, and its special ids.

import { z } from 'zod'
import {
  checkSchema,
  flag,
  jsonObject,
  numberWithin,
  positiveNumber,
  wholeNumber,
} from './schema.ts'

/** Recommended sampling of a checkpoint; undefined where it says nothing. */
export interface GenerationConfig {
  /** Any of these ends a generation; empty if the checkpoint names none. */
  eosTokenIds: number[]
  bosTokenId: number | undefined
  /** False means greedy, whatever the values below. */
  doSample: boolean | undefined
  temperature: number | undefined
  topP: number | undefined
  /** 0 is off. */
  topK: number | undefined
  minP: number | undefined
  repetitionPenalty: number | undefined
}

const MAX_TOKEN_ID = 2 ** 31 - 1

const tokenId = wholeNumber(0, MAX_TOKEN_ID)

const specialTokens = jsonObject({
  eos_token_id: z
    .union([tokenId, z.array(tokenId)], { error: 'a token id or a list of token ids' })
    .nullish(),
  bos_token_id: tokenId.nullish(),
})

const schema = specialTokens.extend({
  do_sample: flag().nullish(),
  temperature: numberWithin(0, 100).nullish(),
  top_p: positiveNumber(1).nullish(),
  top_k: wholeNumber(0, MAX_TOKEN_ID).nullish(),
  min_p: numberWithin(0, 1).nullish(),
  repetition_penalty: positiveNumber(100).nullish(),
})

/**
 * Reads the content of generation_config.json (undefined: there is none). Special ids that it
 * does not give come from config.json, where older checkpoints keep them. Throws CheckpointError.
 */
export function parseGenerationConfig(
  json: unknown,
  file: string,
  modelConfig: unknown,
  modelConfigFile: string,
): GenerationConfig {
  const found = checkSchema(schema, json === undefined ? {} : json, file)
  const fallback = checkSchema(specialTokens, modelConfig, modelConfigFile)
  const eos = found.eos_token_id ?? fallback.eos_token_id ?? []
  return {
    eosTokenIds: typeof eos === 'number' ? [eos] : eos,
    bosTokenId: found.bos_token_id ?? fallback.bos_token_id ?? undefined,
    doSample: found.do_sample ?? undefined,
    temperature: found.temperature ?? undefined,
    topP: found.top_p ?? undefined,
    topK: found.top_k ?? undefined,
    minP: found.min_p ?? undefined,
    repetitionPenalty: found.repetition_penalty ?? undefined,
  }
}

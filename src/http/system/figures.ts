// GET /status: what is served, what a sequence costs, and how busy the server is, in one reply.

import type { ServerContext } from '../context.ts'
import { toSampling } from '../fields/sampling.ts'
import type { Drain } from '../guard/drain.ts'

/**
 * The figures of now. Numbers that a model does not have are left out: `max_model_len` where a
 * sequence has no bound.
 */
export function figures(server: ServerContext, drain: Drain): Response {
  const { engine, model, version, chatTemplate } = server
  const { slots, freeSlots, running, waiting, prefixCache } = engine.stats()
  const { temperature, topP, topK, minP, repetitionPenalty = 1 } = toSampling({}, model.sampling)
  return Response.json(
    {
      model: model.ids[0],
      version,
      model_type: model.modelType,
      chat: chatTemplate !== undefined,
      max_model_len: model.maxModelLen,
      draining: drain.isAnnounced,
      slots,
      slots_used: slots - freeSlots,
      running,
      waiting,
      state_bytes: model.memory?.stateBytes,
      cache_bytes: model.memory?.cacheBytes,
      softmax_bytes_per_token: model.memory?.softmaxTokenBytes,
      sampling: {
        ...{ temperature, top_p: topP, top_k: topK, min_p: minP },
        repetition_penalty: repetitionPenalty,
      },
      prefix_cache: {
        states: prefixCache.snapshots,
        gpu_bytes: prefixCache.gpuBytes,
        host_bytes: prefixCache.hostBytes,
        hits: prefixCache.hits,
        misses: prefixCache.misses,
        read_tokens: prefixCache.readTokens,
      },
    },
    { headers: { 'cache-control': 'no-store' } },
  )
}

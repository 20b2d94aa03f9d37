// What a server prints when it begins to serve: what runs where, and how to try it.

import type { LoadedModel } from '../engine/load.ts'
import type { Setting } from '../options.ts'
import { bytes } from './bytes.ts'
import { WEIGHTS } from './observe.ts'

/** What runs where, a line for each part. */
export function startReport(
  model: LoadedModel,
  id: string,
  folder: string,
  milliseconds: number,
): string {
  const { plan, gpu, tuning, decoder, maxLength } = model
  const { adapter } = gpu
  const rows: [string, string][] = [
    ['model', `${id} (${model.modelType}, ${decoder.layers} layers) from ${folder}`],
    [
      'adapter',
      `${adapter.name}${adapter.software ? ', on the CPU' : ''}; ` +
        `${tuning.invariant ? 'batch-invariant ' : ''}${tuning.variant} kernels, ${WEIGHTS[tuning.weights]} weights`,
    ],
    [
      'memory',
      `weights ${bytes(plan.weightBytes)}, working memory ${bytes(plan.workBytes)}, ` +
        `${plan.slots} slots of ${bytes(plan.slotBytes)}${describeCaches(model)}`,
    ],
    ['prefixes', describeSnapshots(plan)],
    ['length', maxLength === undefined ? 'unbounded: a state has one size' : `${maxLength} tokens`],
    [
      'start',
      `${(milliseconds / 1000).toFixed(1)} s, of them ${(model.warmUpMs / 1000).toFixed(1)} s warm-up`,
    ],
  ]
  return rows.map(([name, text]) => `${name.padEnd(8)} ${text}`).join('\n')
}

/** The same for the log: bytes, and names without units. */
export function startFields({ plan, gpu, tuning, modelType, ...model }: LoadedModel, ms: number) {
  return {
    model_type: modelType,
    adapter: gpu.adapter.name,
    kernels: tuning.variant,
    weights: WEIGHTS[tuning.weights],
    weight_bytes: plan.weightBytes,
    work_bytes: plan.workBytes,
    slots: plan.slots,
    slot_bytes: plan.slotBytes,
    prefix_states: plan.snapshots,
    max_model_len: model.maxLength,
    start_ms: Math.round(ms),
  }
}

/** Options that were set, by flag; secrets are masked in settings already. */
export function given(settings: readonly Setting[]): Record<string, string> {
  const set = settings.filter(({ source }) => source !== 'default')
  return Object.fromEntries(set.map(({ flag, value }) => [flag.replace(/^--/, ''), value]))
}

/** What softmax layers cost, for hybrids. */
function describeCaches({ plan, maxLength }: LoadedModel): string {
  if (plan.cacheBytes === 0) return ''
  return `, of them ${bytes(plan.cacheBytes)} for keys and values of up to ${maxLength} tokens (--max-model-len)`
}

function describeSnapshots({
  snapshots,
  hostSnapshots,
  snapshotBytes,
}: LoadedModel['plan']): string {
  if (snapshots === 0) return 'none are kept (--prefix-cache-bytes)'
  const host = hostSnapshots === 0 ? '' : ` and ${hostSnapshots} in host memory`
  return `${snapshots} states of ${bytes(snapshotBytes)} are kept for reuse${host}`
}

/** The address, and a request that can be sent to it as it stands. */
export function invitation(listening: string, id: string, needsKey: boolean): string {
  // "Every address" is none that a client can call.
  const url = listening.replace('//0.0.0.0:', '//127.0.0.1:')
  const body = JSON.stringify({ model: id, prompt: 'Once upon a time', max_tokens: 64 })
  const key = needsKey ? " -H 'authorization: Bearer KEY'" : ''
  return [
    `serving  ${url}/v1, described at ${url}/docs`,
    '',
    'Try it:',
    `  curl ${url}/v1/completions${key} -H 'content-type: application/json' \\`,
    `    -d '${body}'`,
    '',
  ].join('\n')
}

// `bun run bench [MODEL] [--adapter NAME] [--json FILE]`: tokens per second of prompts and of
// decoding, through the engine, without HTTP. The first run of each row warms it up.
import { parseArgs } from 'node:util'
import { type LoadedModel, loadModel } from '../../src/engine/load.ts'
import { EMBEDDED_MODEL } from '../../src/serve.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    adapter: { type: 'string', default: 'auto' },
    kernels: { type: 'string', default: 'auto' },
    dtype: { type: 'string', default: 'auto' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
})

const PROMPT_LENGTHS = [64, 512, 2048]
const BATCHES = [1, 2, 4, 8]
const DECODE_TOKENS = 64

interface Row {
  what: string
  /** Tokens per second, median of the rounds. */
  median: number
  best: number
  /** Milliseconds of a whole prompt, or of one step. */
  milliseconds: number
}

/** Generates `tokens` tokens for each of `batch` sequences; seconds from the first to the last. */
async function decodeSeconds(model: LoadedModel, batch: number, tokens: number): Promise<number> {
  const times = await Promise.all(
    Array.from({ length: batch }, async (_, i) => {
      let first = 0
      let last = 0
      for await (const output of submit(model, [1, 400 + i], tokens)) {
        last = performance.now()
        first ||= output.tokens.length > 0 ? last : 0
      }
      return { first, last }
    }),
  )
  const first = Math.max(...times.map((time) => time.first))
  return (Math.max(...times.map((time) => time.last)) - first) / 1000
}

/** Seconds until the first token after a prompt. */
async function promptSeconds(model: LoadedModel, length: number): Promise<number> {
  const { vocabSize } = model.decoder
  const prompt = Array.from({ length }, (_, i) => (i * 7919 + 17) % vocabSize)
  const start = performance.now()
  for await (const _ of submit(model, prompt, 1)) break
  return (performance.now() - start) / 1000
}

function submit(model: LoadedModel, prompt: number[], maxTokens: number) {
  const sampling = { temperature: 0, topP: 1, topK: 0, minP: 0, seed: undefined }
  return model.engine.submit({
    id: 'bench',
    prompt,
    maxTokens,
    sampling,
    stop: [],
    ignoreEos: true,
  })
}

/** Runs once to warm up, then `rounds` times. */
async function measure(what: string, tokens: number, steps: number, run: () => Promise<number>) {
  await run()
  const seconds: number[] = []
  for (let i = 0; i < Number(values.rounds); i++) seconds.push(await run())
  seconds.sort((a, b) => a - b)
  const median = seconds[seconds.length >> 1]
  const row: Row = {
    what,
    median: tokens / median,
    best: tokens / seconds[0],
    milliseconds: (median * 1000) / steps,
  }
  console.log(
    `${what.padEnd(28)} ${row.median.toFixed(1).padStart(10)} ${row.best.toFixed(1).padStart(10)} ` +
      `${row.milliseconds.toFixed(2).padStart(10)}`,
  )
  return row
}

const folder = positionals[0] ?? EMBEDDED_MODEL
const start = performance.now()
await using model = await loadModel({
  folder,
  adapter: values.adapter,
  kernels: values.kernels,
  dtype: values.dtype,
  maxNumSeqs: undefined,
  maxNumBatchedTokens: 512,
  maxModelLen: undefined,
  stateMemory: undefined,
})
const loadSeconds = (performance.now() - start) / 1000
await promptSeconds(model, 5)
const firstAnswerSeconds = (performance.now() - start) / 1000

const { adapter } = model.gpu
console.log(
  `${folder} on ${adapter.name}, ${model.tuning.variant} kernels, ${model.tuning.weights}`,
)
console.log(
  `ready after ${loadSeconds.toFixed(2)} s, first answer ${firstAnswerSeconds.toFixed(2)} s`,
)
console.log(
  `${''.padEnd(28)} ${'tokens/s'.padStart(10)} ${'best'.padStart(10)} ${'ms'.padStart(10)}`,
)
const rows: Row[] = []
for (const length of PROMPT_LENGTHS) {
  rows.push(await measure(`prompt of ${length}`, length, 1, () => promptSeconds(model, length)))
}
for (const batch of BATCHES) {
  if (batch > model.plan.slots) continue
  // The first token of each sequence ends its prompt; the clock starts there.
  const tokens = batch * (DECODE_TOKENS - 1)
  rows.push(
    await measure(
      `decode, ${batch} sequence${batch > 1 ? 's' : ''}`,
      tokens,
      DECODE_TOKENS - 1,
      () => decodeSeconds(model, batch, DECODE_TOKENS),
    ),
  )
}

if (values.json) {
  const date = new Date().toISOString().slice(0, 10)
  const report = { date, adapter, tuning: model.tuning, loadSeconds, firstAnswerSeconds, rows }
  await Bun.write(values.json, `${JSON.stringify(report, undefined, 2)}\n`)
}

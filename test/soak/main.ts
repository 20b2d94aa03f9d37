// `bun run soak [MODEL] [--minutes N] [--seed N] [--adapter NAME]`: random requests against 4 slots
// for a while, with a line every 10 seconds. Ends with code 1 if anything is not as it should be.
import { parseArgs } from 'node:util'
import { ConfigError } from '../../src/errors.ts'
import { EMBEDDED_MODEL } from '../../src/serve/model.ts'
import { loadTestModel } from '../helpers/model.ts'
import { judgeMemory, residentBytes } from './memory.ts'
import { Soak } from './soak.ts'

const SLOTS = 4
const PROMPT_TOKENS_PER_STEP = 256
const JOBS_PER_ROUND = 25
const REPORT_SECONDS = 10
/** Fewer rounds have no quarters to compare. */
const FEWEST_SAMPLES = 8

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    adapter: { type: 'string', default: 'auto' },
  },
})
const minutes = numberOf('minutes')
const seed = numberOf('seed')

await using model = await loadTestModel(
  positionals[0] ?? EMBEDDED_MODEL,
  SLOTS,
  PROMPT_TOKENS_PER_STEP,
  { adapter: values.adapter, batchInvariant: true, checked: false },
)
await using soak = new Soak(model, {
  seed,
  promptTokens: 600,
  maxTokens: 40,
  atOnce: 24,
  repeated: 0.1,
})
console.log(`${model.gpu.adapter.name}, ${SLOTS} slots, seed ${seed}, ${minutes} minutes`)
const start = performance.now()
const seconds = () => (performance.now() - start) / 1000
const report = setInterval(printLine, REPORT_SECONDS * 1000)
const samples: number[] = []
let shown = 0
while (seconds() < minutes * 60 && soak.engine.stats().fault === undefined) {
  await soak.round(JOBS_PER_ROUND)
  samples.push(residentBytes())
  for (const problem of soak.problems.slice(shown)) console.error(`WRONG ${problem}`)
  shown = soak.problems.length
}
clearInterval(report)
printLine()

if (samples.length >= FEWEST_SAMPLES) {
  const { early, late, flat } = judgeMemory(samples)
  console.log(`resident memory: ${mebibytes(early)} early, ${mebibytes(late)} late`)
  if (!flat) soak.problems.push('resident memory grows')
} else {
  console.log(`resident memory: not judged, ${samples.length} rounds are too few`)
}
const isSound = soak.problems.length === 0
console.log(isSound ? 'everything as it should be' : `${soak.problems.length} problems`)
process.exitCode = isSound ? 0 : 1

function printLine(): void {
  const { jobs, ended, aborted, tokens, forks, refused, repeated } = soak.counts
  const { hits, misses } = soak.engine.stats().prefixCache
  console.log(
    [
      `${seconds().toFixed(0).padStart(5)} s`,
      `${jobs} requests`,
      `${ended} ended`,
      `${aborted} aborted`,
      `${forks} forks (${refused} refused)`,
      `${repeated} repeated alone`,
      `${tokens} tokens`,
      `cache ${hits} of ${hits + misses}`,
      `rss ${mebibytes(process.memoryUsage().rss)}`,
      `gpu ${mebibytes(model.buffers.bytes)}`,
      `${soak.problems.length} problems`,
    ].join(', '),
  )
}

function numberOf(name: 'minutes' | 'seed'): number {
  const value = Number(values[name])
  if (Number.isFinite(value) && value >= 0) return value
  throw new ConfigError(`--${name} ${values[name]}: a number of at least 0 is needed`)
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`
}

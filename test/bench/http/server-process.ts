// The server of `bench http`: the whole of it over a device whose steps only take time.
import { version } from '../../../package.json'
import { PrefixAdmission } from '../../../src/engine/admission.ts'
import { GlazeEngine } from '../../../src/engine/engine.ts'
import { PrefixCache } from '../../../src/engine/prefix-cache.ts'
import { SnapshotMemory } from '../../../src/engine/snapshot-memory.ts'
import { StateCopies } from '../../../src/engine/state-copies.ts'
import type { Buffers } from '../../../src/gpu/buffers.ts'
import { createApp } from '../../../src/http/app.ts'
import { serveApp } from '../../../src/http/serve.ts'
import { readChatTemplate } from '../../../src/loader/chat-templates.ts'
import { createLogger } from '../../../src/log.ts'
import { Observation } from '../../../src/serve/observe.ts'
import { openChatTemplate } from '../../../src/text/chat-template.ts'
import { Tokenizer } from '../../../src/text/tokenizer.ts'
import { CHAT_TEMPLATE } from '../../helpers/chat-server.ts'
import type { ServerOptions, ServerUsage } from './messages.ts'
import { TimedRunner } from './timed-runner.ts'

const PROMPT_TOKENS = 512

const { folder, stepMs, slots, polls } = JSON.parse(process.argv[2]) as ServerOptions
const tokenizer = await Tokenizer.open(`${folder}/tokenizer.json`, undefined)
const { vocabSize } = tokenizer
// Each of these is a text of its own, so that every token is an event.
const ids = Array.from({ length: vocabSize }, (_, id) => id).filter((id) =>
  /^ ?[a-z]{2,}$/.test(tokenizer.display(id)),
)
const buffers = { maxSize: 2 ** 30, device: {}, create: async () => ({}) } as unknown as Buffers
const runner = await TimedRunner.create(buffers, {
  ...{ stepMs, slots, polls, promptTokens: PROMPT_TOKENS, vocabSize, ids },
})
const memory = await SnapshotMemory.create(
  buffers,
  { commands: () => {} },
  { stateBytes: 4, logitsBytes: vocabSize * 4, gpuBytes: 0, hostBytes: 0 },
)
const copies = await StateCopies.create(buffers, runner.decoder, memory)
const tables = { load: () => {}, writeMask: () => {} }
const admission = new PrefixAdmission(new PrefixCache({ exact: true, memory }), copies, tables)
const log = createLogger({ level: 'warn' })
const observation = new Observation({ modelName: 'bench', compat: 'none', log })
const engine = new GlazeEngine(runner, admission, {
  tokenizer,
  eosTokenIds: [],
  maxLength: undefined,
  promptTokens: PROMPT_TOKENS,
  scoredTokens: PROMPT_TOKENS,
  observer: observation.engine,
  onError: (message, error) => log.error(message, { error }),
})
const app = createApp({
  ...{ engine, tokenizer, log, version },
  grammars: {
    compile: () => Promise.reject(new Error('no grammar is measured here')),
  },
  chatTemplate: openChatTemplate(await readChatTemplate(CHAT_TEMPLATE), {
    bosToken: undefined,
    eosToken: undefined,
  }),
  model: { ids: ['bench'], created: 0 },
  metrics: observation,
  observer: observation.http,
  // Clients count events; none may be there that is no token.
  limits: { pingIntervalMs: 2 ** 30 },
})
const server = serveApp(app, { host: '127.0.0.1', port: 0 })

let last = process.cpuUsage()
process.on('message', () => {
  const { user, system } = process.cpuUsage(last)
  const usage: ServerUsage = { cpuUs: user + system, lateness: runner.lateness.splice(0) }
  last = process.cpuUsage()
  process.send!(usage)
})
process.on('disconnect', () => process.exit())
process.send!(server.url)

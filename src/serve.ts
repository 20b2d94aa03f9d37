// `glaze serve`: load a model, print what runs where, answer requests until a signal.

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { version } from '../package.json'
import type { ServeOptions } from './config.ts'
import { type LoadedModel, loadModel } from './engine/load.ts'
import { openGrammars } from './grammar/grammars.ts'
import { createApp, createLoadingApp, createMetricsApp, type GuardOptions } from './http/app.ts'
import type { SequenceMemory } from './http/context.ts'
import { readApiKeyFile } from './http/guard/api-keys.ts'
import { Drain } from './http/guard/drain.ts'
import { serveApp } from './http/serve.ts'
import { locateModel } from './hub/model-source.ts'
import type { ResolvedModel } from './hub/resolve-model.ts'
import { createLogger, type Logger } from './log.ts'
import type { Setting } from './options.ts'
import { chatTemplateOf } from './serve/chat-template.ts'
import { EMBEDDED_MODEL, findModel } from './serve/model.ts'
import { Observation } from './serve/observe.ts'
import { Progress } from './serve/progress.ts'
import { Shutdown } from './serve/shutdown.ts'
import { given, invitation, startFields, startReport } from './serve/start-report.ts'

/** Time that clients get to read the error when their requests are cut or the device is lost. */
const FAREWELL_MS = 1000

/**
 * Serves until SIGINT or SIGTERM, then lets the requests it has finish, also those in the queue (see
 * serve/shutdown.ts). Probes are answered until the last has ended. The port is taken at once and
 * answers 503 until the model is loaded. Resolves to the exit code.
 * @param settings where the options come from, for the log
 */
export async function serve(
  options: ServeOptions,
  settings: readonly Setting[] = [],
): Promise<number> {
  const log = createLogger({ level: options.logLevel, format: options.logFormat })
  const { name } = await locateModel(options.model ?? EMBEDDED_MODEL)
  const modelName = options.servedModelName?.[0] ?? name
  using observation = new Observation({ modelName, compat: options.metricsCompat, log })
  const { metricsPort } = options
  const guards: Guards = {
    apiKeys: await apiKeysOf(options, log),
    allowedOrigins: options.allowOrigin,
    logPrompts: options.logPrompts,
    ...(metricsPort === undefined && { metrics: observation }),
    observer: observation.http,
  }
  const drain = new Drain()
  const ended = Promise.withResolvers<number>()
  let app: Parameters<typeof serveApp>[0] = createLoadingApp(log, guards)
  await using server = serveApp({ fetch: (...request) => app.fetch(...request) }, options)
  await using _metricsServer =
    metricsPort === undefined
      ? undefined
      : serveApp(createMetricsApp(observation), { host: options.host, port: metricsPort })
  if (guards.apiKeys.length === 0 && !isLoopback(options.host)) {
    const message = 'whoever reaches this address may use the server; --api-key-file guards it'
    log.warn(message, { host: options.host })
  }

  // Before loading: as the first process of a container nothing else would end it.
  let service: Service | undefined
  const shutdown = new Shutdown({
    ...{ drain, log },
    stats: () => service!.model.engine.stats(),
    drainDelayMs: options.drainDelay * 1000,
    timeoutMs: options.shutdownTimeout * 1000,
    async delivered() {
      drain.cut()
      await server.stop()
    },
    end: () => ended.resolve(0),
  })
  const onSignal = (signal: NodeJS.Signals) => {
    if (service === undefined) ended.resolve(signal === 'SIGINT' ? 130 : 143)
    else shutdown.signal(signal)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)

  const started = performance.now()
  const opened = openService(options, log, observation, { ...guards, drain })
  service = await Promise.race([opened, ended.promise.then(() => undefined)])
  if (service === undefined) return ended.promise
  app = service.app
  const { model, id, source, downloadMs } = service
  using _grammars = service.grammars
  const startMs = performance.now() - started
  observation.watch(
    model,
    { download: downloadMs / 1000, load: (startMs - downloadMs) / 1000 },
    { revision: source.commit, isDraining: () => drain.isAnnounced },
  )
  watchDevice(model, log, ended.resolve)
  const fields = { version, model: id, revision: source.commit, ...startFields(model, startMs) }
  // On a terminal the report below says the same.
  log[process.stderr.isTTY ? 'debug' : 'info']('serving', { ...fields, options: given(settings) })
  console.log(startReport(model, id, source.folder, startMs))
  console.log(invitation(server.url, id, guards.apiKeys.length > 0))

  const code = await ended.promise
  // What still runs ends with an error that its client can read. A lost device cannot be closed.
  const closed = code === 0 ? model[Symbol.asyncDispose]() : undefined
  // Generations have ended by now, each for its own reason; this ends what has not come that far.
  await new Promise(setImmediate)
  drain.cut()
  await Promise.race([Promise.all([closed, server.stop()]), Bun.sleep(FAREWELL_MS)])
  await server.stop(true)
  return code
}

/** Who may call, known before anything is loaded. */
type Guards = GuardOptions & { apiKeys: readonly string[] }

/** All that answers requests. */
interface Service {
  app: ReturnType<typeof createApp>
  model: LoadedModel
  grammars: ReturnType<typeof openGrammars>
  /** The first name of the model. */
  id: string
  /** Where its files are, and milliseconds that it took to have them. */
  source: ResolvedModel
  downloadMs: number
}

async function openService(
  options: ServeOptions,
  log: Logger,
  observation: Observation,
  guards: Guards & { drain: Drain },
): Promise<Service> {
  const started = performance.now()
  const source = await findModel(options, log)
  const { folder } = source
  const downloadMs = performance.now() - started
  const model = await load(folder, options, log, observation)
  const { engine, tokenizer } = model
  const ids = options.servedModelName ?? [source.name]
  const chatTemplate = await chatTemplateOf(folder, options.chatTemplate, tokenizer, log)
  const created = Math.floor((await stat(join(folder, 'config.json'))).mtimeMs / 1000)
  const grammars = openGrammars({
    tokenizer,
    vocabSize: model.decoder.vocabSize,
    eosTokenIds: model.generationConfig.eosTokenIds,
  })
  const app = createApp({
    ...{ engine, tokenizer, grammars, chatTemplate, log, version },
    model: {
      ...{ ids, created, maxModelLen: model.maxLength, sampling: recommendedSampling(model) },
      ...{ revision: source.commit, modelType: model.modelType, memory: sequenceMemory(model) },
    },
    limits: {
      maxQueue: options.maxQueue,
      maxBodyBytes: options.maxBodyBytes,
      maxStoredResponses: options.maxStoredResponses,
      healthTimeoutMs: options.healthTimeout * 1000,
    },
    ...guards,
  })
  return { app, model, grammars, id: ids[0], source, downloadMs }
}

/** Whether only this machine reaches the address. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127[\d.]*$/.test(host)
}

/** The keys of which clients must send one; reads the file of keys. */
export async function apiKeysOf(
  { apiKey = [], apiKeyFile }: ServeOptions,
  log: Logger,
): Promise<string[]> {
  const fromFile = apiKeyFile === undefined ? [] : await readApiKeyFile(apiKeyFile, log)
  return [...apiKey, ...fromFile]
}

async function load(
  folder: string,
  options: ServeOptions,
  log: Logger,
  { engine: observer }: Observation,
): Promise<LoadedModel> {
  if (options.randomWeights) log.warn('--random-weights: the answers of this server are noise')
  const progress = new Progress('loading')
  try {
    return await loadModel({
      ...options,
      folder,
      onAutotune: () => log.info('measuring which kernels are the fastest on this GPU'),
      queueTimeoutMs: milliseconds(options.queueTimeout),
      requestTimeoutMs: milliseconds(options.requestTimeout),
      onProgress: (done, total) => progress.show(done, total),
      onError: (message, error) => log.error(message, { error }),
      onEvent: (message, fields) => log.debug(message, fields),
      observer,
    })
  } finally {
    progress.end()
  }
}

/** 0 seconds stand for no bound. */
function milliseconds(seconds: number): number | undefined {
  return seconds === 0 ? undefined : seconds * 1000
}

/** A lost device cannot be repaired from inside: say so and leave the restart to the supervisor. */
function watchDevice(model: LoadedModel, log: Logger, end: (code: number) => void): void {
  model.gpu.lost.then((reason) => {
    log.error(`the GPU device was lost: ${reason}`, { adapter: model.gpu.adapter.name })
    model.engine.loseDevice(reason)
    end(1)
  })
}

/** What a sequence takes, for those who watch. */
function sequenceMemory({ plan }: LoadedModel): SequenceMemory {
  const { slotBytes, cacheBytes, softmaxTokenBytes } = plan
  return { stateBytes: slotBytes, cacheBytes, softmaxTokenBytes }
}

/** What generation_config.json recommends for requests that leave sampling open. */
function recommendedSampling({ generationConfig }: LoadedModel) {
  const { doSample, temperature, topP, topK, minP, repetitionPenalty } = generationConfig
  if (doSample === false) return { temperature: 0, repetitionPenalty }
  return { temperature, topP, topK, minP, repetitionPenalty }
}

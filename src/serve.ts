// `glaze serve`: load a model, print what runs where, answer requests until a signal.

import { stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { version } from '../package.json'
import type { ServeOptions } from './config.ts'
import { type LoadedModel, loadModel } from './engine/load.ts'
import { CheckpointError } from './errors.ts'
import { openGrammars } from './grammar/grammars.ts'
import { createApp, createLoadingApp, createMetricsApp, type GuardOptions } from './http/app.ts'
import { readApiKeyFile } from './http/guard/api-keys.ts'
import { Drain } from './http/guard/drain.ts'
import { serveApp } from './http/serve.ts'
import { findChatTemplates, readChatTemplate } from './loader/chat-templates.ts'
import { createLogger, type Logger } from './log.ts'
import { Observation, WEIGHTS } from './serve/observe.ts'
import { Shutdown } from './serve/shutdown.ts'
import { openChatTemplate } from './text/chat-template.ts'
import type { Tokenizer } from './text/tokenizer.ts'

/** The model that is served if none is named. */
export const EMBEDDED_MODEL = join(import.meta.dir, '../models/checkpoints/tales-gla-5m')

/** Time that clients get to read the error when their requests are cut or the device is lost. */
const FAREWELL_MS = 1000

/**
 * Serves until SIGINT or SIGTERM, then lets the requests it has finish, also those in the queue (see
 * serve/shutdown.ts). Probes are answered until the last has ended. The port is taken at once and answers 503 until the model is loaded.
 * Resolves to the exit code.
 */
export async function serve(options: ServeOptions): Promise<number> {
  const log = createLogger({ level: options.logLevel, format: options.logFormat })
  const folder = resolve(options.model ?? EMBEDDED_MODEL)
  const modelName = options.servedModelName?.[0] ?? basename(folder)
  using observation = new Observation({ modelName, compat: options.metricsCompat, log })
  const { metricsPort } = options
  const guards: Guards = {
    ...(await guardOptions(options, log)),
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
  const opened = openService(folder, options, log, observation, { ...guards, drain })
  service = await Promise.race([opened, ended.promise.then(() => undefined)])
  if (service === undefined) return ended.promise
  app = service.app
  const { model, id } = service
  using _grammars = service.grammars
  const seconds = (performance.now() - started) / 1000
  const isDraining = () => drain.isAnnounced
  observation.watch(model, { download: 0, load: seconds }, { isDraining })
  watchDevice(model, log, ended.resolve)
  console.log(startReport(model, id, folder, performance.now() - started))
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
}

async function openService(
  folder: string,
  options: ServeOptions,
  log: Logger,
  observation: Observation,
  guards: Guards & { drain: Drain },
): Promise<Service> {
  const model = await load(folder, options, log, observation)
  const { engine, tokenizer } = model
  const ids = options.servedModelName ?? [basename(folder)]
  const chatTemplate = await chatTemplateOf(folder, options.chatTemplate, tokenizer, log)
  const created = Math.floor((await stat(join(folder, 'config.json'))).mtimeMs / 1000)
  const grammars = openGrammars({
    tokenizer,
    vocabSize: model.decoder.vocabSize,
    eosTokenIds: model.generationConfig.eosTokenIds,
  })
  const app = createApp({
    ...{ engine, tokenizer, grammars, chatTemplate, log, version },
    model: { ids, created, maxModelLen: model.maxLength, sampling: recommendedSampling(model) },
    limits: {
      maxQueue: options.maxQueue,
      maxBodyBytes: options.maxBodyBytes,
      maxStoredResponses: options.maxStoredResponses,
      healthTimeoutMs: options.healthTimeout * 1000,
    },
    ...guards,
  })
  return { app, model, grammars, id: ids[0] }
}

/** Whether only this machine reaches the address. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127[\d.]*$/.test(host)
}

/** Who may call; reads the file of keys. */
async function guardOptions(options: ServeOptions, log: Logger) {
  const { apiKey = [], apiKeyFile, allowOrigin = [], logPrompts } = options
  const fromFile = apiKeyFile === undefined ? [] : await readApiKeyFile(apiKeyFile, log)
  const apiKeys = [...apiKey, ...fromFile]
  return { apiKeys, allowedOrigins: allowOrigin, logPrompts }
}

/**
 * The template of the file that the operator gave, or else of the checkpoint. Throws for a file that
 * cannot be used; a checkpoint that has none of use is served without chats.
 */
export async function chatTemplateOf(
  folder: string,
  file: string | undefined,
  tokenizer: Pick<Tokenizer, 'bosTokenId' | 'eosTokenId' | 'display'>,
  log: Logger,
) {
  const nameOf = (id: number | undefined) => (id === undefined ? undefined : tokenizer.display(id))
  const tokens = {
    bosToken: nameOf(tokenizer.bosTokenId),
    eosToken: nameOf(tokenizer.eosTokenId),
  }
  if (file !== undefined) return openChatTemplate(await readChatTemplate(file), tokens)
  try {
    return openChatTemplate(await findChatTemplates(folder), tokens)
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error
    const message = 'chats are refused: --chat-template FILE gives a template that can be used'
    log.warn(message, { reason: error.message })
    return undefined
  }
}

async function load(
  folder: string,
  options: ServeOptions,
  log: Logger,
  { engine: observer }: Observation,
): Promise<LoadedModel> {
  if (options.randomWeights) log.warn('--random-weights: the answers of this server are noise')
  const progress = new Progress()
  try {
    return await loadModel({
      ...options,
      folder,
      autotune: !options.noAutotune,
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
    model.engine.fail(`the GPU device was lost: ${reason}`)
    end(1)
  })
}

/** What generation_config.json recommends for requests that leave sampling open. */
function recommendedSampling({ generationConfig }: LoadedModel) {
  const { doSample, temperature, topP, topK, minP, repetitionPenalty } = generationConfig
  if (doSample === false) return { temperature: 0, repetitionPenalty }
  return { temperature, topP, topK, minP, repetitionPenalty }
}

/** What runs where, a line for each part. */
function startReport(model: LoadedModel, id: string, folder: string, milliseconds: number): string {
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

function invitation(listening: string, id: string, needsKey: boolean): string {
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

/** 1.5 MiB, 16 MiB, 13.5 GiB. */
function bytes(count: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  let value = count
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024
  return `${unit === 0 || value >= 100 ? Math.round(value) : Number(value.toFixed(1))} ${units[unit]}`
}

/** A line on stderr while weights load, for models that take longer than a moment. */
class Progress {
  /** When the first block was there: what came before says nothing of the rate. */
  #first: { time: number; done: number } | undefined
  #shown = 0

  show(done: number, total: number): void {
    const now = performance.now()
    this.#first ??= { time: now, done }
    const seconds = (now - this.#first.time) / 1000
    const interval = process.stderr.isTTY ? 200 : 5000
    if (seconds < 1 || now - this.#shown < interval) return
    this.#shown = now
    const rate = (done - this.#first.done) / seconds
    const left = (total - done) / Math.max(rate, 1)
    const line =
      `loading  ${bytes(done)} of ${bytes(total)}, ${bytes(rate)}/s, ` + `${Math.ceil(left)} s left`
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`)
  }

  end(): void {
    if (this.#shown > 0 && process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  }
}

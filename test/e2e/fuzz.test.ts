// 5,000 bodies, sound and broken, on every POST route of the app over a real engine: each gets an
// answer or an error that says what is wrong, and none leaves a trace.

import { expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { openGrammars } from '../../src/grammar/grammars.ts'
import { createApp } from '../../src/http/app.ts'
import { readChatTemplate } from '../../src/loader/chat-templates.ts'
import { createLogger } from '../../src/log.ts'
import { openChatTemplate } from '../../src/text/chat-template.ts'
import { CHAT_TEMPLATE } from '../helpers/chat-server.ts'
import { checkingFetch } from '../helpers/checking-fetch.ts'
import { smallCheckpoint } from '../helpers/checkpoints.ts'
import { bodiesOf, type FuzzBody } from '../helpers/fuzz-bodies.ts'
import { FUZZ_ROUTES } from '../helpers/fuzz-routes.ts'
import { loadTestModel } from '../helpers/model.ts'
import { TempFolder } from '../helpers/temp-folder.ts'

setDefaultTimeout(300_000)

const SEED = 20_261_123
const BODIES = 5000
const SLOTS = 8
/** Requests that run side by side; together they ask for more than there are slots. */
const CROWD = 12
/** Bounds what a body that asks for everything gets. */
const MAX_LENGTH = 192

interface Job extends FuzzBody {
  route: string
}

const folder = await TempFolder.create()

/** A tiny model behind the whole app. */
async function openApp() {
  await smallCheckpoint(folder.path)
  const model = await loadTestModel(folder.path, SLOTS, 128, { maxModelLen: MAX_LENGTH })
  const faults: string[] = []
  const { engine, tokenizer } = model
  const { eosTokenIds } = model.generationConfig
  const { vocabSize } = model.decoder
  const grammars = openGrammars({ tokenizer, vocabSize, eosTokenIds })
  const app = createApp({
    engine,
    tokenizer,
    grammars,
    chatTemplate: openChatTemplate(await readChatTemplate(CHAT_TEMPLATE), { bosToken: '<s>' }),
    model: { ids: ['tales'], created: 1_700_000_000, maxModelLen: model.maxLength },
    limits: { maxQueue: 64 },
    log: createLogger({ level: 'error', format: 'json', write: (line) => void faults.push(line) }),
    version: '1.2.3',
  })
  return { app, model, grammars, faults }
}

function jobs(): Job[] {
  const arbitraries = Object.entries(FUZZ_ROUTES).map(([route, fuzz]) => ({
    // Routes that generate get most of the bodies.
    weight: route.endsWith('tokenize') ? 1 : 3,
    arbitrary: bodiesOf(fuzz).map((body) => ({ ...body, route })),
  }))
  return fc.sample(fc.oneof(...arbitraries), { seed: SEED, numRuns: BODIES })
}

test('5,000 bodies', async () => {
  const { app, model, grammars, faults } = await openApp()
  const request = checkingFetch((url, init) => app.request(url, init))
  const statuses = new Map<string, number>()

  const good = async () => {
    const body = JSON.stringify({ prompt: 'Once upon a time', max_tokens: 8, temperature: 0 })
    const reply = await request('/v1/completions', { method: 'POST', body })
    const { choices } = (await reply.json()) as { choices: unknown }
    return choices
  }

  /** Throws if the reply is none that a client may get. */
  const send = async ({ route, text, contentType }: Job, leavesEarly: boolean) => {
    const headers = { 'content-type': contentType }
    let reply = await request(route, { method: 'POST', headers, body: text })
    // The queue is full: one body may ask for many answers. It comes back when there is room.
    while (reply.status === 429) {
      while (model.engine.stats().waiting > 0) await new Promise(setImmediate)
      reply = await request(route, { method: 'POST', headers, body: text })
    }
    const { status } = reply
    const kind = `${route} ${status}`
    statuses.set(kind, (statuses.get(kind) ?? 0) + 1)
    if (status !== 200 && (status < 400 || status >= 500)) throw new Error(`status ${status}`)
    if (leavesEarly && reply.headers.get('content-type')?.startsWith('text/event-stream')) {
      const reader = reply.body!.getReader()
      await reader.read()
      return reader.cancel()
    }
    // Reading a stream to its end checks how it ends.
    const answer = await reply.text()
    if (/"type":"(server|unavailable|timeout)_error"/.test(answer)) throw new Error(answer)
  }

  const before = await good()
  const waiting = jobs()
  const work = async () => {
    for (let job = waiting.pop(); job !== undefined; job = waiting.pop()) {
      try {
        await send(job, waiting.length % 10 === 0)
      } catch (error) {
        throw new Error(`POST ${job.route} ${job.contentType}\n${job.text.slice(0, 2000)}`, {
          cause: error,
        })
      }
    }
  }
  await Promise.all(Array.from({ length: CROWD }, work))

  expect(await good()).toEqual(before)
  const { slots, freeSlots, waiting: queued, running, fault } = model.engine.stats()
  expect({ slots, freeSlots, queued, running, fault }).toEqual({
    ...{ slots: SLOTS, freeSlots: SLOTS, queued: 0, running: 0, fault: undefined },
  })
  expect(faults).toEqual([])

  // All of this proves little unless many bodies are answered and many refused, on every route.
  const posts = app.routes.filter(({ method }) => method === 'POST').map(({ path }) => path)
  for (const route of new Set(posts)) {
    for (const status of [200, 400]) {
      const count = statuses.get(`${route} ${status}`) ?? 0
      if (count < 80) throw new Error(`${count} bodies of POST ${route} got status ${status}`)
    }
  }
  grammars[Symbol.dispose]()
  await model[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

// @ts-check
// The page to try the model with: runs prompts, shows what is written, and watches the server.

import { Answer } from './answer.js'
import { button, element, input, write } from './elements.js'
import { fetchStatus, generate, ServerError, setKey } from './server.js'
import { Settings } from './settings.js'
import { StateCard } from './state-card.js'
import { beginText, beginTurn, clear, setBusy } from './transcript.js'
import { count } from './units.js'

const EXAMPLES = {
  complete: [
    'Once upon a time',
    'The old king called his three sons and said',
    'There was once a poor woodcutter',
  ],
  chat: [
    'Tell me a tale of a fox and a crow.',
    'What makes a good story?',
    'Write a short poem about rain.',
  ],
}

/** Milliseconds from one look at the server to the next. */
const WATCH_MS = 1000

const NO_ANSWER = 'the server does not answer'

const prompt = /** @type {HTMLTextAreaElement} */ (element('prompt'))
const settings = new Settings()
const state = new StateCard()

/** Ends what runs. @type {AbortController | undefined} */
let running
/** The turns of the chat so far. @type {{ role: string, content: string }[]} */
let turns = []
/** The last completion with its prompt. */
let written = ''
/** @type {ReturnType<typeof setTimeout> | undefined} */
let watch

function isChat() {
  return input('mode-chat').checked
}

/** Sends what the form says, and shows what comes back until it ends or is stopped. */
async function run() {
  const sampling = settings.read()
  if (running !== undefined || sampling === undefined) return
  const asked = prompt.value
  if (asked === '') {
    prompt.focus()
    return
  }
  running = new AbortController()
  const { signal } = running
  const question = { role: 'user', content: asked }
  const [entry, path, body] = isChat()
    ? [beginTurn(asked), '/v1/chat/completions', { messages: [...turns, question] }]
    : [beginText(asked), '/v1/completions', { prompt: asked }]
  showError(undefined)
  showRunning()
  const answer = new Answer(entry.place)
  if (isChat()) prompt.value = ''
  try {
    for await (const piece of generate(path, { ...body, ...sampling }, signal)) {
      // It has its slot now.
      if (answer.tokens === 0) look()
      answer.add(piece)
      state.follow(answer.tokens)
    }
    answer.end()
  } catch (error) {
    answer.end(signal.aborted ? 'Stopped' : 'Failed')
    if (!signal.aborted) showError(error)
  }
  running = undefined
  if (!isChat()) written = asked + answer.text
  else if (answer.text !== '') turns.push(question, { role: 'assistant', content: answer.text })
  else {
    // Nothing came of it: it may be asked again.
    entry.remove()
    prompt.value ||= asked
  }
  showRunning()
  look()
}

function showRunning() {
  const isRunning = running !== undefined
  const [from, to] = isRunning ? [button('run'), button('stop')] : [button('stop'), button('run')]
  const hadFocus = document.activeElement === from
  to.disabled = false
  if (hadFocus) to.focus()
  from.disabled = true
  setBusy(isRunning)
  button('continue').disabled = isRunning || written === ''
  button('clear').disabled = isRunning
  for (const mode of ['mode-complete', 'mode-chat']) input(mode).disabled = isRunning
}

/** An error in the server's words; a missing key is asked for. @param {unknown} error */
function showError(error) {
  const isAnswer = error instanceof ServerError
  const needsKey = isAnswer && error.status === 401
  if (needsKey) askForKey(error.message)
  element('error').hidden = error === undefined || needsKey
  write('error', isAnswer ? error.message : NO_ANSWER)
}

/** @param {string} reason */
function askForKey(reason) {
  write('access-reason', reason)
  if (!element('access').hidden) return
  element('access').hidden = false
  input('key').focus()
}

/** Asks the server how it is, and does so again as long as somebody looks at the page. */
async function look() {
  clearTimeout(watch)
  if (document.hidden) return
  try {
    showStatus(await fetchStatus())
    element('access').hidden = true
  } catch (error) {
    const isAnswer = error instanceof ServerError
    if (isAnswer && error.status === 401) {
      write('load-text', 'A key is needed')
      askForKey(error.message)
      return
    }
    write('load-text', isAnswer ? error.message : NO_ANSWER)
  }
  clearTimeout(watch)
  watch = setTimeout(look, WATCH_MS)
}

/** @param {import('./server.js').Status} status */
function showStatus(status) {
  const { model, chat, draining, slots, slots_used, waiting, sampling } = status
  write('model', model)
  document.title = `${model} · glaze`
  const queue = waiting === 0 ? '' : `, ${count(waiting)} waiting`
  const end = draining ? ', shutting down' : ''
  write('load-text', `${count(slots_used)} of ${count(slots)} slots in use${queue}${end}`)
  element('load-bar').style.width = `${(100 * slots_used) / slots}%`
  settings.offer(sampling)
  state.describe(status)
  element('modes').hidden = !chat
}

/** Begins anew, as the mode has it. */
function startOver() {
  const chats = isChat()
  turns = []
  written = ''
  clear()
  state.follow(0)
  showError(undefined)
  showRunning()
  write('phase', 'Nothing written yet')
  write('prompt-label', chats ? 'Your message' : 'Text to continue')
  button('continue').hidden = chats
  button('clear').hidden = !chats
  const examples = EXAMPLES[chats ? 'chat' : 'complete'].map((text) => {
    const choice = document.createElement('button')
    choice.type = 'button'
    choice.textContent = text
    choice.addEventListener('click', () => {
      prompt.value = text
      prompt.focus()
    })
    const item = document.createElement('li')
    item.append(choice)
    return item
  })
  element('examples').replaceChildren(...examples)
}

element('request').addEventListener('submit', (event) => {
  event.preventDefault()
  run()
})
element('access').addEventListener('submit', (event) => {
  event.preventDefault()
  setKey(input('key').value.trim())
  look()
})
element('modes').addEventListener('change', startOver)
button('stop').addEventListener('click', () => running?.abort())
button('clear').addEventListener('click', startOver)
button('continue').addEventListener('click', () => {
  prompt.value = written
  prompt.scrollTop = prompt.scrollHeight
  run()
})
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') running?.abort()
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !event.isComposing) {
    event.preventDefault()
    run()
  }
})
document.addEventListener('visibilitychange', look)

startOver()
look()

// @ts-check
// The text that is being written, and its figures: time to the first token, speed, tokens.

import { write } from './elements.js'
import { scrollToEnd, showsEnd } from './transcript.js'
import { count, duration, rate } from './units.js'

/** What ended a text, in words. */
const ENDS = new Map([
  ['stop', 'The model ended the text'],
  ['length', 'Ended at max tokens'],
])

/** One run, from the click to the last token. */
export class Answer {
  text = ''
  /** Prompt and answer. */
  tokens = 0
  #written = 0
  #started = performance.now()
  /** When the first tokens came, and how many they were. */
  #first = { at: 0, tokens: 0 }
  #place
  #unseen = ''
  /** @type {number | undefined} */
  #frame
  /** @type {string | undefined} */
  #finish

  /** @param {HTMLElement} place where the text goes */
  constructor(place) {
    this.#place = place
    place.classList.add('writing')
    for (const id of ['first-token', 'speed', 'prompt-tokens', 'new-tokens']) write(id, '–')
    write('phase', 'Waiting for the first token…')
  }

  /** @param {import('./server.js').Piece} piece */
  add({ text, usage, finish }) {
    this.text += text
    this.#unseen += text
    this.#frame ??= requestAnimationFrame(() => this.#show())
    this.#finish ??= finish
    if (usage !== undefined) this.#count(usage)
  }

  /** @param {string} [reason] why it ends, where the model had no say in it */
  end(reason) {
    this.#show()
    this.#place.classList.remove('writing')
    write('phase', reason ?? ENDS.get(this.#finish ?? '') ?? 'Ended')
  }

  /** Once a frame: each time the browser lays out what is there. */
  #show() {
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame)
    this.#frame = undefined
    const follows = showsEnd()
    this.#place.append(this.#unseen)
    this.#unseen = ''
    if (follows) scrollToEnd()
  }

  /** @param {import('./server.js').Usage} usage */
  #count({ prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details }) {
    this.tokens = total_tokens
    const cached = prompt_tokens_details.cached_tokens
    const known = cached === 0 ? '' : `, ${count(cached)} cached`
    write('prompt-tokens', `${count(prompt_tokens)} tokens${known}`)
    write('new-tokens', `${count(completion_tokens)} tokens`)
    // The last usage comes without a token: the clock must not run on until then.
    if (completion_tokens === this.#written) return
    this.#written = completion_tokens
    const now = performance.now()
    if (this.#first.tokens === 0) {
      this.#first = { at: now, tokens: completion_tokens }
      write('first-token', duration(now - this.#started))
      write('phase', 'Writing…')
    } else {
      const later = completion_tokens - this.#first.tokens
      write('speed', rate((later * 1000) / (now - this.#first.at)))
    }
  }
}

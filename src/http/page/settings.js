// @ts-check
// The sampling settings: filled in with what the server does by itself, sent as they stand.

import { button, element, input } from './elements.js'

const SAMPLING = ['temperature', 'top_p', 'top_k', 'min_p', 'repetition_penalty']
const ALL = [...SAMPLING, 'max_tokens', 'seed']
const MAX_TOKENS = '256'

/** Set up once the server has said what it does for those who leave it open. */
export class Settings {
  /** @type {Record<string, number> | undefined} */
  #defaults

  constructor() {
    const details = /** @type {HTMLDetailsElement} */ (element('settings'))
    // Where they stand beside the text they need not hide.
    details.open = matchMedia('(min-width: 56rem)').matches
    button('defaults').addEventListener('click', () => {
      input('max_tokens').value = MAX_TOKENS
      input('seed').value = ''
      this.#fill()
    })
  }

  /**
   * Fills in the first defaults; later ones wait until somebody asks for them.
   * @param {Record<string, number>} defaults
   */
  offer(defaults) {
    const isFirst = this.#defaults === undefined
    this.#defaults = defaults
    if (isFirst) this.#fill()
  }

  /**
   * The fields of a request; undefined, with a word to the user, if one of them is none. Empty ones
   * are left to the server.
   * @returns {Record<string, number> | undefined}
   */
  read() {
    const wrong = ALL.map(input).find((field) => !field.validity.valid)
    if (wrong !== undefined) {
      const details = /** @type {HTMLDetailsElement} */ (element('settings'))
      details.open = true
      wrong.reportValidity()
      return undefined
    }
    const given = ALL.filter((name) => input(name).value !== '')
    return Object.fromEntries(given.map((name) => [name, input(name).valueAsNumber]))
  }

  #fill() {
    for (const name of SAMPLING) input(name).value = String(this.#defaults?.[name] ?? '')
  }
}

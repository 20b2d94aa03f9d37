// @ts-check
// What a sequence costs: the size of its state, beside what a softmax cache would have grown to.

import { element, write } from './elements.js'
import { drawPlot } from './plot.js'
import { bytes, count } from './units.js'

export class StateCard {
  /** @type {import('./server.js').Status | undefined} */
  #status
  #tokens = 0

  /** @param {import('./server.js').Status} status */
  describe(status) {
    this.#status = status
    this.#show()
  }

  /** @param {number} tokens of the text so far, prompt and all */
  follow(tokens) {
    this.#tokens = tokens
    this.#show()
  }

  #show() {
    const {
      state_bytes,
      cache_bytes = 0,
      softmax_bytes_per_token,
      max_model_len,
    } = this.#status ?? {}
    if (state_bytes === undefined) return
    write('state-size', bytes(state_bytes))
    write('state-note', note(state_bytes, cache_bytes, max_model_len))
    write('state-now', bytes(state_bytes))
    write('tokens', count(this.#tokens))
    // Nothing to compare where the state is nothing but such a cache.
    const tokenBytes = cache_bytes < state_bytes ? softmax_bytes_per_token : undefined
    for (const id of ['plot', 'plot-axis', 'softmax-row', 'softmax-note']) {
      element(id).toggleAttribute('hidden', tokenBytes === undefined)
    }
    if (tokenBytes !== undefined) {
      write('softmax-now', bytes(this.#tokens * tokenBytes))
      drawPlot(this.#tokens, state_bytes, tokenBytes)
    }
    element('state').hidden = false
  }
}

/**
 * @param {number} stateBytes
 * @param {number} cacheBytes
 * @param {number} [maxLength]
 */
function note(stateBytes, cacheBytes, maxLength = 0) {
  if (cacheBytes === 0) return 'however long the text becomes'
  const use = `for keys and values of up to ${count(maxLength)} tokens`
  return cacheBytes === stateBytes ? use : `of them ${bytes(cacheBytes)} ${use}`
}

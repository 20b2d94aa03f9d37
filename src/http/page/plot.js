// @ts-check
// Memory by length: a level line for the state, a rising one for the cache of a softmax model.

import { element } from './elements.js'
import { count } from './units.js'

const WIDTH = 240
const HEIGHT = 88
/** Tokens on the axis at first; doubled whenever the text comes near its end. */
const LEAST_TOKENS = 512

/**
 * @param {number} tokens so far
 * @param {number} stateBytes
 * @param {number} tokenBytes that each token would add to the cache
 */
export function drawPlot(tokens, stateBytes, tokenBytes) {
  let end = LEAST_TOKENS
  while (tokens > end * 0.9) end *= 2
  const top = Math.max(end * tokenBytes, stateBytes * 1.2)
  const x = (/** @type {number} */ length) => round((length / end) * WIDTH)
  const y = (/** @type {number} */ size) => round(HEIGHT - (size / top) * HEIGHT)
  const now = `${x(tokens)} ${y(tokens * tokenBytes)}`
  set('plot-softmax', { d: `M0 ${HEIGHT}L${now}` })
  set('plot-rest', { d: `M${now}L${WIDTH} ${y(end * tokenBytes)}` })
  set('plot-area', { d: `M0 ${HEIGHT}L${now}V${HEIGHT}Z` })
  set('plot-state', { d: `M0 ${y(stateBytes)}H${WIDTH}` })
  set('dot-softmax', { cx: x(tokens), cy: y(tokens * tokenBytes) })
  set('dot-state', { cx: x(tokens), cy: y(stateBytes) })
  element('plot-end').textContent = `${count(end)} tokens`
}

/**
 * @param {string} id
 * @param {Record<string, string | number>} attributes
 */
function set(id, attributes) {
  const node = element(id)
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value))
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10
}

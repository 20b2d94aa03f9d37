// @ts-check
// The output box: a text and how it goes on, or the turns of a chat.

import { element } from './elements.js'

/**
 * @typedef {object} Entry
 * @property {HTMLElement} place where the answer goes
 * @property {() => void} remove takes the entry back
 */

const box = element('output')

/** @param {boolean} isBusy */
export function setBusy(isBusy) {
  box.setAttribute('aria-busy', String(isBusy))
}

export function clear() {
  box.replaceChildren()
}

/** A text, in place of what is there. @param {string} text @returns {Entry} */
export function beginText(text) {
  const place = span('written')
  box.replaceChildren(span('given', text), place)
  return { place, remove: clear }
}

/** A question, after what is there. @param {string} text @returns {Entry} */
export function beginTurn(text) {
  const place = span('written')
  const turns = [turn('You', span('given', text)), turn('Model', place)]
  box.append(...turns)
  scrollToEnd()
  return {
    place,
    remove() {
      for (const node of turns) node.remove()
    },
  }
}

/** Whether the end of the text can be seen; then it should stay so. */
export function showsEnd() {
  return box.scrollHeight - box.scrollTop - box.clientHeight < 40
}

export function scrollToEnd() {
  box.scrollTop = box.scrollHeight
}

/** @param {string} who @param {Node} said */
function turn(who, said) {
  const node = document.createElement('div')
  node.className = 'turn'
  node.append(span('who', who), said)
  return node
}

/** @param {string} className @param {string} [text] */
function span(className, text = '') {
  const node = document.createElement('span')
  node.className = className
  node.textContent = text
  return node
}

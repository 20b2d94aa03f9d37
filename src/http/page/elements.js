// @ts-check
// The parts of the page by their ids.

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
export function element(id) {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`the page has no #${id}`)
  return found
}

/** @param {string} id */
export function input(id) {
  return /** @type {HTMLInputElement} */ (element(id))
}

/** @param {string} id */
export function button(id) {
  return /** @type {HTMLButtonElement} */ (element(id))
}

/**
 * @param {string} id
 * @param {string} text
 */
export function write(id, text) {
  const node = element(id)
  // Else a screen reader may repeat what has not changed.
  if (node.textContent !== text) node.textContent = text
}

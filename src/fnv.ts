// A number for a text, the same on every machine.

/** FNV-1a of the text in UTF-8: an unsigned 32-bit integer. */
export function fnv1a(text: string): number {
  let x = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) x = Math.imul(x ^ byte, 0x01000193)
  return x >>> 0
}

// Keeps texts valid UTF-8. A character class of xgrammar lets a character begin with any lead byte and
// go on with any continuation byte; where a byte rules out some that follow, the gate closes tokens.

/** Bytes at the end of a text after which not every continuation byte makes a character. */
const CRITICAL = [[0xe0], [0xe2], [0xe2, 0x80], [0xed], [0xf0], [0xf4]]

/** Second bytes after lead bytes that do not take all of 0x80 to 0xbf. */
const SECOND_BYTES: ReadonlyMap<number, readonly [first: number, last: number]> = new Map([
  [0xe0, [0xa0, 0xbf]],
  [0xed, [0x80, 0x9f]],
  [0xf0, [0x90, 0xbf]],
  [0xf4, [0x80, 0x8f]],
])

/**
 * Whether bytes can be a part of a text in UTF-8, which may begin and end inside of a character.
 * U+2028 and U+2029 are left out, as in all sets of characters.
 */
export function isPartOfText(bytes: Uint8Array): boolean {
  let at = 0
  while (at < 3 && isContinuation(bytes[at])) at++
  while (at < bytes.length) {
    const lead = bytes[at]
    const length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
    if (length === 0 || lead > 0xf4) return false
    const tail = bytes.subarray(at + 1, at + length)
    const [first, last] = SECOND_BYTES.get(lead) ?? [0x80, 0xbf]
    if (!tail.every(isContinuation) || tail[0] < first || tail[0] > last) return false
    if (lead === 0xe2 && tail[0] === 0x80 && (tail[1] === 0xa8 || tail[1] === 0xa9)) return false
    at += length
  }
  return true
}

/** Which tokens cannot come next, by the last bytes of the text. */
export class Utf8Gate {
  readonly #closed: { after: readonly number[]; ids: number[] }[]

  /** Takes the bytes of each token. */
  constructor(tokens: readonly Uint8Array[]) {
    this.#closed = CRITICAL.map((after) => {
      const isClosed = (token: Uint8Array) =>
        isContinuation(token[0]) && !isPartOfText(Uint8Array.from([...after, ...token]))
      return { after, ids: tokens.flatMap((token, id) => (isClosed(token) ? [id] : [])) }
    })
  }

  /** Takes tokens out of a mask; `end` are the last two bytes of the text. */
  close(mask: Uint32Array, end: readonly number[]): void {
    for (const { after, ids } of this.#closed) {
      if (!after.every((byte, index) => byte === end.at(index - after.length))) continue
      for (const id of ids) mask[id >> 5] &= ~(1 << (id & 31))
    }
  }
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x80 && byte <= 0xbf
}

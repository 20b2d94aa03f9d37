// Keeps texts valid UTF-8. A character class of xgrammar lets a character begin with any lead byte and
// go on with any continuation byte; where the second byte matters the gate closes some tokens.

/** Lead bytes after which not every continuation byte makes a character, and those that do. */
const SECOND_BYTES: ReadonlyMap<number, readonly [first: number, last: number]> = new Map([
  [0xe0, [0xa0, 0xbf]],
  [0xed, [0x80, 0x9f]],
  [0xf0, [0x90, 0xbf]],
  [0xf4, [0x80, 0x8f]],
])

/** Whether bytes can be a part of UTF-8 text; it may begin and end inside of a character. */
export function isPartOfUtf8(bytes: Uint8Array): boolean {
  let at = 0
  while (at < 3 && isContinuation(bytes[at])) at++
  while (at < bytes.length) {
    const lead = bytes[at]
    const length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
    if (length === 0 || lead > 0xf4) return false
    const tail = bytes.subarray(at + 1, at + length)
    if (!tail.every(isContinuation)) return false
    if (tail.length > 0 && !isSecond(lead, tail[0])) return false
    at += length
  }
  return true
}

/** Which tokens cannot come next, by the last byte of the text. */
export class Utf8Gate {
  readonly #closed = new Map<number, number[]>()

  constructor(tokens: readonly Uint8Array[]) {
    for (const lead of SECOND_BYTES.keys()) {
      const closed = tokens.flatMap((token, id) =>
        isContinuation(token[0]) && !isSecond(lead, token[0]) ? [id] : [],
      )
      this.#closed.set(lead, closed)
    }
  }

  /** Takes tokens out of a mask; `last` is the last byte of the text. */
  close(mask: Uint32Array, last: number | undefined): void {
    if (last === undefined) return
    for (const id of this.#closed.get(last) ?? []) mask[id >> 5] &= ~(1 << (id & 31))
  }
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x80 && byte <= 0xbf
}

function isSecond(lead: number, byte: number): boolean {
  const range = SECOND_BYTES.get(lead)
  return !range || (byte >= range[0] && byte <= range[1])
}

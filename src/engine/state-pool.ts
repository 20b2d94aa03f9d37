// Which slots of the state pool are free. The memory itself belongs to the decoder.
import { invariant } from '../errors.ts'

export class StatePool {
  readonly #free: number[]
  readonly #taken = new Set<number>()

  constructor(readonly size: number) {
    // Popped from the end: low slots first.
    this.#free = Array.from({ length: size }, (_, slot) => size - 1 - slot)
  }

  get free(): number {
    return this.#free.length
  }

  /** A free slot, or undefined; its memory still holds its last user's state. */
  take(): number | undefined {
    const slot = this.#free.pop()
    if (slot !== undefined) this.#taken.add(slot)
    return slot
  }

  giveBack(slot: number): void {
    invariant(this.#taken.delete(slot), `slot ${slot} given back but not taken`)
    this.#free.push(slot)
  }
}
